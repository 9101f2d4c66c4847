import { registryId } from '../../content/reference.ts'
import type { JobCredentials } from '../../jobs/model/requests.ts'
import { AppError } from '../../lib/errors.ts'
import { isHeaderWord } from '../../lib/text.ts'

const FIELDS = {
  username: 'username',
  password: 'password',
  identitytoken: 'identityToken',
  registrytoken: 'registryToken',
} as const

type Login = Omit<JobCredentials, 'also'>

/**
 * Reads X-Registry-Auth: base64url (or base64) of JSON with username, password, serveraddress, identitytoken,
 * registrytoken. `{}`, `null` and empty values are Docker's way to say "none". Without serveraddress they are for `registry`;
 * with it they must be. Throws CREDENTIALS_INVALID; nothing of the header's content gets into the message.
 * Source: Docker Engine API v1.51 "Authentication".
 */
export function readRegistryAuth(header: string | undefined, registry: string): JobCredentials | undefined {
  return readJobAuth(header, [registry])
}

/**
 * The same for a job of two registries, the first of which it is for unless serveraddress says otherwise. It may then be a
 * list too, with a login for each.
 */
export function readJobAuth(header: string | undefined, registries: readonly string[]): JobCredentials | undefined {
  if (header === undefined || header.trim() === '') return undefined
  const given = decode(header.trim())
  if (registries.length === 0) throw invalid('the job has nothing to do with a registry')
  const several = new Set(registries.map(registryId)).size > 1
  const list: readonly unknown[] = several && Array.isArray(given) ? given : [given]
  if (list.length > registries.length) throw invalid(`it is a list of more than ${registries.length} logins`)
  const logins = list.flatMap((login) => readLogin(login, registries) ?? [])
  const [first, also] = logins
  if (first && also && first.registry === also.registry) {
    throw invalid(`both of its logins are for ${first.registry}: each needs its "serveraddress"`)
  }
  return first && { ...first, ...(also ? { also } : {}) }
}

function readLogin(given: unknown, registries: readonly string[]): Login | undefined {
  const auth = objectOf(given)
  const secrets = Object.entries(FIELDS).flatMap(([field, name]) => {
    const value = auth[field]
    if (value === undefined || value === null || value === '') return []
    if (typeof value !== 'string') throw invalid(`its field "${field}" is not a string`)
    if (field === 'registrytoken' && !isHeaderWord(value))
      throw invalid('its field "registrytoken" holds what a header cannot carry')
    return [[name, value] as const]
  })
  if (secrets.length === 0) return undefined
  const address = auth['serveraddress'] ?? ''
  if (typeof address !== 'string') throw invalid('its field "serveraddress" is not a string')
  const registry = registries.find((each) => address === '' || hostOf(address) === hostOf(each))
  if (registry !== undefined) return { registry, ...Object.fromEntries(secrets) }
  const named = [...new Set(registries)]
  const theirs =
    named.length > 1 ? `those of the job, which are ${named.join(' and ')}` : `the job's, which is ${named[0]}`
  throw invalid(`it is for another registry than ${theirs}`)
}

function decode(header: string): unknown {
  if (!/^[A-Za-z0-9_+/-]+={0,2}$/.test(header)) throw invalid('it is not base64url')
  try {
    // Node's base64url decoder reads both alphabets, with or without padding.
    return JSON.parse(Buffer.from(header, 'base64url').toString('utf8'))
  } catch {
    // The parser's message quotes its input, so it must not be handed on.
    throw invalid('what it encodes is not JSON')
  }
}

function objectOf(value: unknown): Record<string, unknown> {
  if (value === null) return {}
  if (typeof value === 'object' && !Array.isArray(value)) return value as Record<string, unknown>
  throw invalid('what it encodes is not a JSON object')
}

/** docker login keeps whole URLs for some registries: https://index.docker.io/v1/. */
function hostOf(address: string): string {
  return registryId(address.replace(/^https?:\/\//i, '').split('/', 1)[0] ?? '')
}

function invalid(why: string): AppError {
  return new AppError('CREDENTIALS_INVALID', `the header X-Registry-Auth cannot be used: ${why}`, {
    hint: 'It is base64url of {"username":"...","password":"...","serveraddress":"host[:port]"}.',
  })
}
