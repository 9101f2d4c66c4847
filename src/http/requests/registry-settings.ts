import { isRepositoryPattern } from '../../content/repository-pattern.ts'
import type { RegistryLimits, RegistrySecret, RegistrySettings } from '../../jobs/model/registry-record.ts'
import { AppError } from '../../lib/errors.ts'
import { isHeaderWord } from '../../lib/text.ts'
import type { RegistryBody } from '../schemas/registry.ts'
import { awsSecret, azureSecret, googleSecret } from './cloud-settings.ts'
import { registryWay } from './registry-way.ts'

/** `registry`: host[:port]. Throws BODY_INVALID, with nothing of a secret in it. */
export function registrySettings(body: RegistryBody, registry: string): RegistrySettings {
  const { plainHttp = false, repositories, credentials, limits } = body
  repositories?.forEach((pattern, at) => {
    if (!isRepositoryPattern(pattern)) throw noPattern(pattern, at)
  })
  const secret = credentials ? secretOf(credentials, registry) : credentials
  if (secret?.kind === 'aws' && secret.keys === null) checkChainsWay(body)
  const ways = { way: registryWay(body), limits: limitsOf(limits ?? {}) }
  return { plainHttp, repositories: repositories ?? null, secret, ...ways }
}

/** Whoever may keep a registry does not get the machine's own password of it by choosing who stands in between. */
function checkChainsWay({ plainHttp, ca, proxy, mirror }: RegistryBody): void {
  const chosen = Object.entries({ plainHttp, ca, proxy: proxy === 'direct' ? undefined : proxy, mirror })
  const [part] = chosen.find(([, value]) => Boolean(value)) ?? []
  if (part !== undefined) throw unusable(`chain goes with TLS and the common way alone, and ${part} is set`)
}

type Given = NonNullable<RegistryBody['credentials']>

function secretOf({ username, ...secrets }: Given, registry: string): RegistrySecret {
  const kinds = Object.values(secrets).filter((secret) => secret !== undefined).length
  if (kinds !== 1) {
    throw unusable('they hold none or several of password, identityToken, registryToken, aws, google and azure')
  }
  const { password, identityToken, registryToken, ...clouds } = secrets
  const cloud = cloudSecret(clouds, registry)
  if (cloud && username !== undefined) throw unusable('those of a cloud have no username')
  if (cloud) return cloud
  if (username !== undefined && !USER.test(username))
    throw unusable('the username holds a colon or a control character')
  if (registryToken !== undefined) {
    if (username !== undefined) throw unusable('a registryToken has no username')
    if (!isHeaderWord(registryToken)) throw unusable('the registryToken holds what a header cannot carry')
    return { kind: 'registry', registryToken }
  }
  if (identityToken !== undefined) return { kind: 'identity', username: username ?? '', identityToken }
  if (username === undefined) throw unusable('a password needs a username')
  return { kind: 'basic', username, password: password ?? '' }
}

function cloudSecret({ aws, google, azure }: Given, registry: string): RegistrySecret | undefined {
  if (aws) return awsSecret(aws, registry)
  if (google) return googleSecret(google, registry)
  return azure && azureSecret(azure)
}

/** Source: RFC 7617 2. */
const USER = /^[^:\p{Cc}]+$/u

function unusable(why: string): AppError {
  return new AppError('BODY_INVALID', `the credentials cannot be used: ${why}`, {
    hint: 'They are username and password, or identityToken (with or without a username), or registryToken, or aws, google or azure.',
    details: { pointer: '/credentials' },
  })
}

export function noPattern(pattern: string, at: number): AppError {
  return new AppError('BODY_INVALID', `"${pattern.slice(0, 160)}" stands for no repository`, {
    hint: 'team/nemo is itself, * one component (team/*), ** at the end all that follows (team/**).',
    details: { pointer: `/repositories/${at}` },
  })
}

interface Range {
  readonly least: number
  readonly most: number
  readonly unit: string
  readonly whole: boolean
}

const RANGES: Readonly<Record<keyof RegistryLimits, Range>> = {
  jobs: { least: 1, most: 1024, unit: 'jobs at once', whole: true },
  concurrency: { least: 1, most: 64, unit: 'bodies at once', whole: true },
  requestsPerSecond: { least: 0.01, most: 100_000, unit: 'requests a second', whole: false },
  bytesPerSecond: { least: 64 * 1024, most: 2 ** 40, unit: 'bytes a second', whole: true },
}

/** Null where nothing is limited. */
function limitsOf({ jobs, concurrency, requestsPerSecond, bytesPerSecond }: NonNullable<RegistryBody['limits']>) {
  const limits: RegistryLimits = {
    jobs: limitOf('jobs', jobs),
    concurrency: limitOf('concurrency', concurrency),
    requestsPerSecond: limitOf('requestsPerSecond', requestsPerSecond),
    bytesPerSecond: limitOf('bytesPerSecond', bytesPerSecond),
  }
  return Object.values(limits).every((limit) => limit === null) ? null : limits
}

function limitOf(name: keyof RegistryLimits, given: number | null = null): number | null {
  const { least, most, unit, whole } = RANGES[name]
  if (given === null || (given >= least && given <= most && (!whole || Number.isInteger(given)))) return given
  const number = whole ? 'a whole number' : 'a number'
  throw new AppError('BODY_INVALID', `${given} is no limit: ${name} is ${number} from ${least} to ${most} (${unit})`, {
    hint: 'null, or leaving it out, is no limit.',
    details: { pointer: `/limits/${name}` },
  })
}
