import { createHash } from 'node:crypto'
import { isHeaderWord, trimEndOf } from '../../lib/text.ts'
import { dockerConfigKey, registryKey } from '../facts/registry-name.ts'
import { type DockerConfig, isObject, unusable } from './config-file.ts'
import type { CredentialEntry, CredentialPlace, RegistryCredential } from './provider.ts'
import { toCredential } from './secret.ts'

/** Where the registry itself is meant: what docker login used to write behind the host. */
const API_ROOTS = new Set(['v1', 'v2'])

/**
 * The entry of `auths` for a repository: that with the longest path that begins the repository (`quay.io/team/app`, then
 * `quay.io/team`), then the host's own; what holds no credential is passed over, as Docker leaves `{}` behind where a helper
 * keeps it. Source: oci-client.md A19, containers-auth.json(5), docker/cli ConvertToHostname.
 */
export function entryOfAuths({ auths, where }: DockerConfig, place: CredentialPlace): CredentialEntry | undefined {
  const [key] = keysFor(auths, place).filter((name) => !isEmpty(auths[name]))
  if (key === undefined) return undefined
  const entry = auths[key]
  return {
    id: createHash('sha256').update(JSON.stringify(entry)).digest('hex'),
    source: `the entry "${key}" of auths in ${where}`,
    credential: async () => read(entry, { where, key }),
  }
}

/** The entry of `credHelpers` for a registry; docker knows none for single repositories. */
export function helperOf({ credHelpers, credsStore, where }: DockerConfig, registry: string): string | undefined {
  const [key] = keysFor(credHelpers, { registry, repository: '' })
  const found = key === undefined ? credsStore : (credHelpers[key] ?? '')
  if (typeof found !== 'string') throw unusable(where, `the entry "${key}" of credHelpers is not a text`)
  return found === '' ? undefined : found
}

/** The keys that hold for a repository, the nearest first; of those that mean the same, the one that Docker would write. */
function keysFor(map: Record<string, unknown>, { registry, repository }: CredentialPlace): string[] {
  const host = registryKey(registry)
  const keys = Object.keys(map).map((key) => ({ key, ...placeOf(key) }))
  const held = keys.filter((found) => found.host === host && isWithin(repository, found.path))
  const exact = dockerConfigKey(registry)
  const rank = (found: { key: string; path: string }) => 2 * found.path.length + (found.key === exact ? 1 : 0)
  return held.toSorted((a, b) => rank(b) - rank(a)).map(({ key }) => key)
}

function placeOf(key: string): { host: string; path: string } {
  const bare = key.replace(/^https?:\/\//i, '')
  const slash = bare.indexOf('/')
  const path = slash === -1 ? '' : trimEndOf(bare.slice(slash + 1), '/')
  return { host: registryKey(bare), path: API_ROOTS.has(path) ? '' : path }
}

function isWithin(repository: string, path: string): boolean {
  return path === '' || repository === path || repository.startsWith(`${path}/`)
}

const FIELDS = ['auth', 'username', 'password', 'identitytoken', 'registrytoken'] as const

function isEmpty(entry: unknown): boolean {
  if (entry === null) return true
  return isObject(entry) && FIELDS.every((name) => (entry[name] ?? '') === '')
}

function read(entry: unknown, from: { where: string; key: string }): RegistryCredential | undefined {
  if (!isObject(entry)) throw unusable(from.where, `the entry "${from.key}" of auths is not an object`)
  const text = (name: (typeof FIELDS)[number]): string => {
    const value = entry[name] ?? ''
    if (typeof value === 'string') return value
    throw unusable(from.where, `"${name}" in the entry "${from.key}" of auths is not a text`)
  }
  const token = text('registrytoken')
  if (token !== '' && !isHeaderWord(token))
    throw unusable(from.where, `"registrytoken" in the entry "${from.key}" of auths holds what a header cannot carry`)
  const pair = text('auth') === '' ? undefined : decodePair(text('auth'), from)
  return toCredential({
    username: pair?.username ?? text('username'),
    password: pair?.password ?? text('password'),
    identityToken: text('identitytoken'),
    registryToken: token,
  })
}

/** base64 of "user:password"; a password may hold colons, and some tools pad with NULs. */
function decodePair(auth: string, from: { where: string; key: string }): { username: string; password: string } {
  const text = Buffer.from(auth, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  if (colon <= 0) throw unusable(from.where, `the entry "${from.key}" of auths is not base64 of user:password`)
  return { username: text.slice(0, colon), password: trimEndOf(text.slice(colon + 1), '\0') }
}
