import type { RegistryCredential } from '../credentials/provider.ts'
import { resolveLocation } from '../push/sessions/upload-location.ts'
import type { RegistryRequest, RegistryTransport, Scope } from '../request/transport.ts'
import { ANY_STATUS, type EntryAnswer } from './api-checks.ts'
import type { Finding, Looked } from './check.ts'

/** Who asks. */
export interface Login {
  /** Undefined: nobody is known to the registry. */
  readonly credential: RegistryCredential | undefined
  /** Where it comes from, for people. */
  readonly source: string
}

const NOBODY =
  'Give credentials in the X-Registry-Auth header (layerd ping --username), by layerd login, or by docker login for the user layerd runs as.'

/**
 * Whether the registry takes the credentials, for nothing but entry. The value says that it is of use to go on: a password that
 * was refused is not shown again, as some lock the account. Throws REGISTRY_* where it does not take them.
 */
export async function loginCheck(
  transport: RegistryTransport,
  { credential, source }: Login,
  { entry, signal }: { entry: EntryAnswer; signal: AbortSignal },
): Promise<Looked<true>> {
  const who = nameOf(credential)
  if (entry.status !== 401) {
    const detail = `it asked for no log-in at /v2/${credential ? `, so ${who} (${source}) was not shown there` : ''}`
    return { state: 'ok', detail, value: true }
  }
  const response = await transport.send(entryRequest(signal))
  await response.discard()
  const { status } = response
  if (status >= 300) return { state: 'warning', detail: `it took ${who} and answered ${status} to /v2/`, value: true }
  if (credential) return { state: 'ok', detail: `it lets ${who} in; credentials: ${source}`, value: true }
  return {
    state: 'warning',
    detail: 'it lets nobody in by name: no credentials are known for it',
    hint: NOBODY,
    value: true,
  }
}

function entryRequest(signal: AbortSignal): RegistryRequest {
  return { method: 'GET', target: '/v2/', scopes: [], lane: 'control', op: 'log in', followRedirects: false, signal }
}

function nameOf(credential: RegistryCredential | undefined): string {
  if (credential === undefined) return 'who has no name'
  if (credential.kind === 'bearer') return 'the registry token'
  return credential.username === '' || credential.username === '<token>'
    ? 'the identity token'
    : `the user "${credential.username}"`
}

const CANNOT_LIST = new Set([400, 405, 406, 415, 501])

/** Whether the repository can be read: its tags are asked for, one at most. Throws REGISTRY_*. */
export async function pullCheck(
  transport: RegistryTransport,
  repository: string,
  signal: AbortSignal,
): Promise<Finding> {
  const response = await transport.send(
    {
      method: 'GET',
      target: `/v2/${repository}/tags/list?n=1`,
      scopes: scopesOf(repository, ['pull']),
      lane: 'control',
      op: 'list tags',
      signal,
    },
    { allow: [...CANNOT_LIST] },
  )
  await response.discard()
  const { status } = response
  if (status < 300) return { state: 'ok', detail: `the tags of ${repository} can be listed` }
  if (status === 404) {
    return {
      state: 'warning',
      detail: `there is no ${repository}, or it is hidden from these credentials (404)`,
      hint: 'A push may make it; where repositories belong to a project or an owner, that has to exist first.',
    }
  }
  return { state: 'skipped', detail: `the registry lists no tags (${status}), so nobody can tell without a package` }
}

/**
 * Whether the repository can be written: an upload session is opened and given up, which moves no byte. Some registries make the
 * repository by that. Throws REGISTRY_*.
 */
export async function pushCheck(
  transport: RegistryTransport,
  repository: string,
  signal: AbortSignal,
): Promise<Finding> {
  const scopes = scopesOf(repository, ['pull', 'push'])
  const opening: RegistryRequest = {
    method: 'POST',
    target: `/v2/${repository}/blobs/uploads/`,
    headers: { 'content-length': '0' },
    scopes,
    lane: 'control',
    op: 'open upload session',
    signal,
  }
  const opened = await transport.send(opening)
  const location = opened.header('location')
  if (opened.status !== 202 || location === undefined)
    throw await transport.error(opening, opened, 'expected 202 and a Location')
  await opened.discard()
  const target = resolveLocation(location, opened.url, transport.registry)
  const given = await transport
    .send(
      { method: 'DELETE', target, scopes, lane: 'control', op: 'cancel upload session', signal },
      { allow: ANY_STATUS },
    )
    .then(async (answer) => {
      await answer.discard()
      return answer.status
    })
    .catch(() => undefined)
  const state = 'ok'
  const detail = `an upload session to ${repository} was opened (POST)`
  if (given !== undefined && (given < 300 || given === 404)) return { state, detail: `${detail} and given up (DELETE)` }
  const said = given === undefined ? 'without an answer' : `refused with ${given}`
  return { state, detail: `${detail}; giving it up (DELETE) was ${said}, so it ends by the registry's own time limit` }
}

function scopesOf(repository: string, actions: Scope['actions']): readonly Scope[] {
  return [{ repository, actions }]
}
