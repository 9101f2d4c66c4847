import { visible } from '../../lib/text.ts'
import type { Policy } from '../client/contract.ts'

type Verify = Policy['verify']

/** What a rule wants of signatures, in few words. */
export function wantedText(verify: Verify): string {
  const { mode = 'always', key, keyRef } = verify
  if (mode === 'never') return 'nothing'
  const who = key === undefined ? undefined : 'a key'
  const wanted = who ?? (keyRef === undefined ? personOf(verify)?.san : `key ${keyRef}`)
  // With a key or an identity it is as always.
  return wanted ?? (mode === 'if-possible' ? 'what can be checked' : 'a signature')
}

/** A policy on some lines. */
export function policyText({ name, match, verify, kinds, updatedAt }: Policy): string {
  const { key, trustedRoot } = verify
  const person = personOf(verify)
  const [first = '', ...others] = match
  const lines = [
    name,
    `  match    ${first}`,
    ...others.map((pattern) => `           ${pattern}`),
    `  wants    ${wantedText(verify)}`,
    ...(person ? [`  issuer   ${person.issuer}`] : []),
    ...(verify.identityPattern ? ['           (both are patterns)'] : []),
    ...(trustedRoot === undefined ? [] : [`  root     ${trustedRoot}`]),
    `  kinds    ${kinds?.join(', ') ?? 'all'}`,
    `  updated  ${updatedAt}`,
  ].map((line) => visible(line))
  return `${[...lines, ...(key === undefined ? [] : [key.trimEnd()])].join('\n')}\n`
}

function personOf({ identity, identityPattern }: Verify): { san: string; issuer: string } | undefined {
  return identity ?? identityPattern
}
