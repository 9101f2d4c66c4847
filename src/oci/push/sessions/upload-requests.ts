import type { Digest } from '../../../content/digest.ts'
import { AppError, isAppError, toAppError } from '../../../lib/errors.ts'
import { saidBy } from '../../errors/errors.ts'
import { learnBounds } from '../../facts/learned-facts.ts'
import { placeName, pushScope, type RepositoryContext, uploadsPath } from '../../request/repository-context.ts'
import type { CallOptions, RegistryRequest, RegistryResponse } from '../../request/transport.ts'
import { bytesFromRange, resolveLocation, withDigest } from './upload-location.ts'

const NOTHING = Buffer.alloc(0)
export const OCTET_STREAM_HEADERS = { 'content-type': 'application/octet-stream' } as const

/** How long giving up a session may take; nobody waits for it with a job's result. */
const CANCEL_MS = 5000

/**
 * POST: opens a session and returns its Location. A repository that has to be made first answers 404.
 * Source: OCI distribution-spec v1.1.1 "POST then PUT".
 */
export async function openSession(context: RepositoryContext, options: CallOptions): Promise<URL> {
  const request: RegistryRequest = {
    method: 'POST',
    target: uploadsPath(context),
    // Several servers answer 411 to a POST that does not say that it is empty.
    headers: { 'content-length': '0' },
    scopes: pushScope(context),
    lane: 'control',
    op: 'open upload session',
    ...options,
  }
  const response = await context.transport.send(request)
  if (response.status !== 202) throw await context.transport.error(request, response, 'expected 202 and a Location')
  return sessionLocation(context, request, response)
}

/** The Location of an answer that must open a session. */
export async function sessionLocation(
  context: RepositoryContext,
  request: RegistryRequest,
  response: RegistryResponse,
): Promise<URL> {
  const location = response.header('location')
  if (location === undefined) throw await context.transport.error(request, response, 'there is no Location')
  learnBounds(context.learned.uploads, {
    least: response.header('oci-chunk-min-length'),
    most: response.header('oci-chunk-max-length'),
  })
  await response.discard()
  return resolveLocation(location, response.url, context.transport.registry)
}

/** The newest Location; some registries send none after the first (Quay). */
export function newestLocation({ transport }: RepositoryContext, response: RegistryResponse, current: URL): URL {
  const location = response.header('location')
  return location === undefined ? current : resolveLocation(location, response.url, transport.registry)
}

export type SessionStatus =
  | { alive: true; location: URL; offset: number | undefined }
  /** The registry has no such session, or (`silent`) does not tell. */
  | { alive: false; reason: string; silent: boolean }

/** Statuses by which a registry says that it does not know the question. */
const SILENT = new Set([400, 405, 501])

/**
 * Asks where a session stands. "0-0" means none or one byte, so its offset is undefined; no Range, 405 and 400 mean that
 * the registry does not tell. Source: OCI distribution-spec v1.1.1 "Pushing a blob in chunks" (GET <location>).
 */
export async function sessionStatus(
  context: RepositoryContext,
  location: URL,
  options: CallOptions,
): Promise<SessionStatus> {
  const { profile, learned } = context
  const { guessed, tellsStatus, rangeBias } = profile
  if (!tellsStatus && !guessed) return { alive: false, reason: 'the registry keeps no count of it', silent: true }
  const request: RegistryRequest = {
    method: 'GET',
    target: location,
    scopes: pushScope(context),
    lane: 'control',
    op: 'ask where the upload stands',
    ...options,
  }
  const response = await context.transport.send(request, { allow: [400, 403, 501] })
  if (response.status >= 400) {
    const said = saidBy(toAppError(await context.transport.error(request, response)))
    const reason = `its status was answered with ${said}`
    // What is taken for a registry that knows no such question is asked it all the same, and answers as that would.
    return { alive: false, reason, silent: !tellsStatus || SILENT.has(response.status) }
  }
  await response.discard()
  const bytes = bytesFromRange(response.header('range'))
  if (bytes === undefined) return { alive: false, reason: 'the registry does not say where it stands', silent: true }
  if (!tellsStatus) learned.shown.refuted = true
  const bias = learned.uploads.rangeBias ?? rangeBias
  const ambiguous = bias === 0 && bytes <= 1
  const offset = ambiguous ? undefined : Math.max(0, bytes - bias)
  return { alive: true, location: newestLocation(context, response, location), offset }
}

/** The empty PUT that closes a session, or the PUT that brings the whole blob. Handed back: 2xx, 404, 416. */
export function commitRequest(
  context: RepositoryContext,
  session: { location: URL; digest: Digest },
  options: CallOptions,
): RegistryRequest {
  return {
    method: 'PUT',
    target: withDigest(session.location, session.digest),
    headers: { ...OCTET_STREAM_HEADERS },
    body: NOTHING,
    scopes: pushScope(context),
    // Committing gigabytes is silent for minutes (moby/buildkit#3995), which only the bulk lane allows.
    lane: 'bulk',
    op: 'commit blob',
    ...options,
  }
}

/** `told`: the registry answered, whatever. `fenced`: the run may send nothing any more. */
export type CancelOutcome = 'told' | 'unreachable' | 'fenced'

/** By an address that says less than the registry has by now; bytes may still be on their way when one is given up. */
const OLD_ADDRESS = 416
const CANCEL_TRIES = 3

/**
 * DELETE of a session, best effort: never throws, never asks for more rights. distribution 3 takes it at the address alone
 * that says how much it has, which its status tells.
 */
export async function cancelSession(context: RepositoryContext, location: URL): Promise<CancelOutcome> {
  const signal = AbortSignal.timeout(CANCEL_MS)
  try {
    let newest = location
    for (let tries = 0; tries < CANCEL_TRIES; tries += 1) {
      if ((await deleteSession(context, newest, signal)) !== OLD_ADDRESS) return 'told'
      const status = await sessionStatus(context, newest, { signal })
      if (!status.alive) return 'told'
      newest = status.location
    }
    return 'unreachable'
  } catch (error) {
    context.logger.debug({ err: error, repository: placeName(context) }, 'upload session not canceled')
    return isAppError(error) && error.code === 'JOB_FENCED' ? 'fenced' : 'unreachable'
  }
}

async function deleteSession(context: RepositoryContext, location: URL, signal: AbortSignal): Promise<number> {
  const response = await context.transport.send(
    {
      method: 'DELETE',
      target: location,
      scopes: pushScope(context),
      lane: 'control',
      op: 'cancel upload session',
      signal,
    },
    { allow: [400, 401, 403, 404, 405, OLD_ADDRESS] },
  )
  await response.discard()
  return response.status
}

/** `answer`: what the registry said. */
export function uploadLost(context: RepositoryContext, digest: Digest, reason: string, answer?: AppError): AppError {
  return new AppError('REGISTRY_UPLOAD_LOST', `${placeName(context)} lost the upload of ${digest}: ${reason}`, {
    op: 'push blob',
    upstream: { ...answer?.upstream, registry: context.transport.registry, repository: context.repository, digest },
    ...(answer ? { cause: answer } : {}),
  })
}
