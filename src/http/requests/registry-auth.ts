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

/**
 * Reads X-Registry-Auth: base64url (or base64) of JSON with username, password, serveraddress, identitytoken,
 * registrytoken. `{}`, `null` and empty values are Docker's way to say "none". Without serveraddress they are for `registry`;
 * with it they must be. Throws CREDENTIALS_INVALID; nothing of the header's content gets into the message.
 * Source: Docker Engine API v1.51 "Authentication".
 */
export function readRegistryAuth(header: string | undefined, registry: string): JobCredentials | undefined {
  if (header === undefined || header.trim() === '') return undefined
  const auth = decode(header.trim())
  const given = Object.entries(FIELDS).flatMap(([field, name]) => {
    const value = auth[field]
    if (value === undefined || value === null || value === '') return []
    if (typeof value !== 'string') throw invalid(`its field "${field}" is not a string`)
    if (field === 'registrytoken' && !isHeaderWord(value))
      throw invalid('its field "registrytoken" holds what a header cannot carry')
    return [[name, value] as const]
  })
  if (given.length === 0) return undefined
  const address = auth['serveraddress'] ?? undefined
  if (address !== undefined && typeof address !== 'string') throw invalid('its field "serveraddress" is not a string')
  if (address !== undefined && address !== '' && hostOf(address) !== hostOf(registry)) {
    throw invalid(`it is for another registry than the job's, which is ${registry}`)
  }
  return { registry, ...Object.fromEntries(given) }
}

function decode(header: string): Record<string, unknown> {
  if (!/^[A-Za-z0-9_+/-]+={0,2}$/.test(header)) throw invalid('it is not base64url')
  let value: unknown
  try {
    // Node's base64url decoder reads both alphabets, with or without padding.
    value = JSON.parse(Buffer.from(header, 'base64url').toString('utf8')) ?? {}
  } catch {
    // The parser's message quotes its input, so it must not be handed on.
    throw invalid('what it encodes is not JSON')
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
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
