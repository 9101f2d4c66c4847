import { AppError, withContext } from '../lib/errors.ts'
import { redactUrl } from '../lib/redact.ts'
import type { RegistryRequest, RegistryResponse, RegistryTransport } from '../oci/registry.ts'
import { contentRange, isSame, type RemoteState, stateOf, validatorOf } from './remote-state.ts'

/** A file of a web server, and the way there. */
export interface Remote {
  readonly url: URL
  readonly transport: RegistryTransport
}

/** An answer whose body holds the wanted bytes behind the first `skip`. */
export interface Got {
  readonly response: RegistryResponse
  readonly skip: number
  readonly state: RemoteState
}

export interface Wanted {
  offset: number
  /** First byte not wanted. Default: all of the rest. */
  end?: number
  /** What the file has to be still. Default: whatever it is. */
  known?: RemoteState
  signal: AbortSignal
}

const REFUSALS = [401, 403, 410]

/**
 * Asks for bytes of the file. Redirects are followed as the outbound policy lets them be, nothing of a login is shown to anybody.
 * Throws PACKAGE_NOT_FOUND, PACKAGE_UNREADABLE for what is no file, PACKAGE_CHANGED, REGISTRY_* of the network and for refusals.
 */
export async function get(remote: Remote, wanted: Wanted): Promise<Got> {
  try {
    return await ask(remote, wanted)
  } catch (error) {
    throw withContext(error, { side: 'source' })
  }
}

async function ask(remote: Remote, wanted: Wanted): Promise<Got> {
  const { request, response } = await send(remote, wanted)
  try {
    await refuse(remote, request, response)
    // A range of an empty file, or of one that has become shorter, is none.
    if (response.status === 416) {
      if (wanted.known) throw changed(remote)
      throw unreadable(remote, 'is empty')
    }
    const state = stateOf(response)
    if (!state) throw unreadable(remote, 'comes without saying how long it is', LENGTH_HINT)
    if (wanted.known && !isSame(wanted.known, state)) throw changed(remote)
    if (response.status === 200) return { response, state, skip: wanted.offset }
    const range = contentRange(response)
    const due = Math.min(wanted.end ?? state.size, state.size)
    if (response.status === 206 && range?.start === wanted.offset && range.last === due - 1)
      return { response, state, skip: 0 }
    throw unreadable(remote, `was answered with ${response.status} and other bytes than were asked for`)
  } catch (error) {
    response.abandon()
    throw error
  }
}

const LENGTH_HINT =
  'A server that has the file says so (Content-Length); one that makes it on the way cannot be read from.'

async function send(
  { transport, url }: Remote,
  { offset, end, known, signal }: Wanted,
): Promise<{ request: RegistryRequest; response: RegistryResponse }> {
  const partly = (offset > 0 && known?.ranges !== false) || end !== undefined
  const validator = known && offset > 0 ? validatorOf(known) : undefined
  const request: RegistryRequest = {
    method: 'GET',
    target: url,
    headers: {
      accept: '*/*',
      ...(partly ? { range: `bytes=${offset}-${end === undefined ? '' : end - 1}` } : {}),
      ...(partly && validator !== undefined ? { 'if-range': validator } : {}),
    },
    anonymous: true,
    scopes: [],
    lane: 'bulk',
    ...(known ? { expectedBytes: (end ?? known.size) - offset } : {}),
    op: 'fetch package',
    signal,
  }
  return { request, response: await transport.send(request, { allow: REFUSALS }) }
}

async function refuse(remote: Remote, request: RegistryRequest, response: RegistryResponse): Promise<void> {
  const { status } = response
  if (status === 404 || status === 410) throw notFound(remote, status)
  if (status === 401 || status === 403) throw denied(remote, status)
  if (status === 405) throw await remote.transport.error(request, response)
  if (status === 416) return
  if (status !== 200 && status !== 206) throw unreadable(remote, `was answered with ${status}`)
  if (/^text\/html\b/i.test(response.header('content-type') ?? '')) {
    throw unreadable(
      remote,
      'is a web page, not a package',
      'Name the address that the package itself is downloaded from.',
    )
  }
  refuseCoding(remote, response)
}

function refuseCoding(remote: Remote, response: RegistryResponse): void {
  const coding = response.header('content-encoding')?.toLowerCase() ?? ''
  // Some servers call the compression of the file itself so.
  const own = coding === 'zstd' && remote.url.pathname.endsWith('.zst')
  if (coding === '' || coding === 'identity' || own) return
  const named = /^[\w-]{1,20}$/.exec(coding)?.[0] ?? 'another coding'
  throw unreadable(remote, `comes with Content-Encoding: ${named}, which was not asked for: those are not its bytes`)
}

export function nameOf({ url }: Remote): string {
  return redactUrl(url)
}

export function changed(remote: Remote): AppError {
  return new AppError('PACKAGE_CHANGED', `${nameOf(remote)} changed while it was being read`, {
    hint: 'Publish it again with the SHA-256 of what is there now.',
    details: { path: nameOf(remote) },
  })
}

function unreadable(remote: Remote, why: string, hint?: string): AppError {
  return new AppError('PACKAGE_UNREADABLE', `${nameOf(remote)} ${why}`, {
    ...(hint === undefined ? {} : { hint }),
    details: { path: nameOf(remote) },
  })
}

function notFound(remote: Remote, status: number): AppError {
  return new AppError('PACKAGE_NOT_FOUND', `there is no ${nameOf(remote)}: ${remote.url.host} answered ${status}`, {
    hint: 'Check the address.',
    details: { path: nameOf(remote) },
    upstream: { status },
  })
}

function denied(remote: Remote, status: number): AppError {
  return new AppError(
    'REGISTRY_DENIED',
    `${nameOf(remote)} is not for everybody: ${remote.url.host} answered ${status}`,
    {
      hint: 'Packages are fetched without a login: put it where none is asked for, or upload it with PUT /v1/uploads/{file name}.',
      details: { path: nameOf(remote) },
      upstream: { status },
    },
  )
}
