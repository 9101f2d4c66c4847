import type { RegistryTraits } from '../facts/registry-kind.ts'
import { type Challenge, parseChallenges } from './challenge.ts'

/** What an answer shows of its registry's kind. `text`: of an error's body. */
export function traitsOf(header: (name: string) => string | undefined, text?: string): RegistryTraits {
  const challenge = header('www-authenticate')
  const challenges = challenge === undefined ? [] : parseChallenges(challenge)
  return {
    header,
    realm: param(challenges, 'bearer', 'realm'),
    service: param(challenges, 'bearer', 'service') ?? param(challenges, 'basic', 'service'),
    basicRealm: param(challenges, 'basic', 'realm'),
    ...(text === undefined ? {} : { text }),
  }
}

function param(challenges: readonly Challenge[], scheme: string, name: string): string | undefined {
  return challenges.find((challenge) => challenge.scheme === scheme)?.params.get(name)
}
