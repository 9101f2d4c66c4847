import { distinct } from '../content/copy-graph.ts'
import type { Descriptor } from '../content/descriptor.ts'
import type { ContentSink } from '../content/endpoints.ts'
import { forEachConcurrent } from '../lib/concurrent.ts'
import { AppError, toAppError } from '../lib/errors.ts'
import type { Repository } from '../oci/registry.ts'
import { lookAtSignatures, type Verification } from '../trust/verification.ts'
import type { OnEvent } from './events.ts'
import type { Mounts } from './mounts.ts'
import { totalBytes } from './plan.ts'
import type { VerificationFor } from './signatures.ts'

/** What a transfer would do, as far as that can be told without writing. Source: api.md "Decided, second part". */
export interface TransferPlan {
  /** Layers and config, each digest once: moved, mounted and there together. */
  readonly blobs: number
  readonly bytes: number
  readonly blobsToMove: number
  readonly bytesToMove: number
  /** The registry has them elsewhere, and may link them from there. */
  readonly blobsToMount: number
  readonly bytesToMount: number
  /** These places: repositories of the same registry. */
  readonly mountFrom: readonly string[]
  readonly blobsThere: number
  readonly bytesThere: number
  /** Whether there is room for it: on disks for a pull, in one manifest for a publish; null where none is needed. */
  readonly fits: boolean | null
  /** What would fail it. */
  readonly problems: readonly AppError[]
}

/** What is done about a check that fails: a transfer ends with it, a dry run keeps it and goes on without what it gives. */
export type Check = <T>(check: () => Promise<T>) => Promise<T | undefined>

/** A transfer's own. */
export const failing: Check = (check) => check()

export interface DryRun {
  readonly problems: readonly AppError[]
  readonly check: Check
  /** The request with verifications that say what they found, and refuse nothing. */
  readonly tolerating: <R extends Verified>(request: R) => R
  /** Sorts the blobs by what would become of them. */
  weigh(blobs: readonly Descriptor[], options: WeighOptions): Promise<Omit<TransferPlan, 'fits'>>
}

interface Verified {
  readonly verification?: Verification
  readonly verificationFor?: (repository: string) => Promise<Verification | undefined>
  readonly bundledVerificationFor?: VerificationFor
}

export interface WeighOptions {
  /** Where they would go. */
  sink: Pick<ContentSink, 'exists'>
  /** The first place that has a blob to link it from. Default: nothing is linked. */
  mountable?: (blob: Descriptor) => Promise<string | undefined>
  signal: AbortSignal
}

const LOOKED_AT_ONCE = 8
/** Thousands of blobs may have the same one. */
const MAX_PROBLEMS = 100

/** What passes is tried again, as in any job; what would fail it for good is kept. */
export function createDryRun(): DryRun {
  const problems = new Map<string, AppError>()
  const keep = (thrown: unknown): void => {
    const error = toAppError(thrown)
    if (!isProblem(error)) throw thrown
    if (problems.size < MAX_PROBLEMS) problems.set(nameOf(error), error)
  }
  const found = (): readonly AppError[] => [...problems.values()]
  const tolerant = (verification: Verification): Verification => ({
    check(files, what) {
      try {
        return verification.check(files, what)
      } catch (error) {
        keep(error)
        return lookAtSignatures(files)
      }
    },
  })
  const tolerantFor =
    <P>(verificationFor: (place: P) => Promise<Verification | undefined>) =>
    async (place: P) => {
      const verification = await verificationFor(place)
      return verification && tolerant(verification)
    }
  return {
    get problems() {
      return found()
    },
    async check(check) {
      try {
        return await check()
      } catch (error) {
        keep(error)
        return undefined
      }
    },
    tolerating(request) {
      const { verification, verificationFor, bundledVerificationFor } = request
      return {
        ...request,
        ...(verification ? { verification: tolerant(verification) } : {}),
        ...(verificationFor ? { verificationFor: tolerantFor(verificationFor) } : {}),
        ...(bundledVerificationFor ? { bundledVerificationFor: tolerantFor(bundledVerificationFor) } : {}),
      }
    },
    async weigh(blobs, options) {
      return { ...(await weigh(distinct(blobs), { ...options, keep })), problems: found() }
    },
  }
}

type Fate = 'move' | 'mount' | 'there'
type Figures = Omit<TransferPlan, 'fits' | 'problems'>

async function weigh(
  blobs: readonly Descriptor[],
  { sink, mountable, signal, keep }: WeighOptions & { keep: (thrown: unknown) => void },
): Promise<Figures> {
  const fates: Record<Fate, Descriptor[]> = { move: [], mount: [], there: [] }
  const mountFrom = new Set<string>()
  // Who may not look at one may not look at the others: they count as absent.
  let blind = false
  const isThere = async (blob: Descriptor, stop: AbortSignal): Promise<boolean> => {
    try {
      return !blind && (await sink.exists(blob, { signal: stop }))
    } catch (error) {
      keep(error)
      blind ||= toAppError(error).code.startsWith('REGISTRY_')
      return false
    }
  }
  const fateOf = async (blob: Descriptor, stop: AbortSignal): Promise<Fate> => {
    if (await isThere(blob, stop)) return 'there'
    const place = blind ? undefined : await mountable?.(blob)
    if (place === undefined) return 'move'
    mountFrom.add(place)
    return 'mount'
  }
  await forEachConcurrent(blobs, { limit: LOOKED_AT_ONCE, signal }, async (blob, stop) => {
    const fate = await fateOf(blob, stop)
    fates[fate].push(blob)
  })
  return {
    blobs: blobs.length,
    bytes: totalBytes(blobs),
    blobsToMove: fates.move.length,
    bytesToMove: totalBytes(fates.move),
    blobsToMount: fates.mount.length,
    bytesToMount: totalBytes(fates.mount),
    mountFrom: [...mountFrom],
    blobsThere: fates.there.length,
    bytesThere: totalBytes(fates.there),
  }
}

/** What a registry refuses it refuses of many things, and one manifest is too large in more than one way. */
function nameOf({ code, message, upstream }: AppError): string {
  const once = code.startsWith('REGISTRY_') || code === 'MANIFEST_TOO_LARGE'
  return [code, ...(once ? [upstream?.registry, upstream?.repository] : [message])].join(' ')
}

/** Not what goes by, nor what is wrong with layerd or with the right to go on. */
function isProblem({ code, retry }: AppError): boolean {
  if (code === 'STORE_FULL') return true
  return retry === 'permanent' && code !== 'INTERNAL' && !code.startsWith('JOB_')
}

interface Dependencies {
  repository(registry: string, repository: string): Promise<Repository>
  onEvent: OnEvent
  signal: AbortSignal
}

/**
 * What a transfer depends on, for who only looks: repositories to which nothing can be written, no rows, and a log that says
 * what it is.
 */
export function lookingOnly<T extends Dependencies>(dependencies: T): T {
  return {
    ...dependencies,
    repository: async (registry, repository) => readOnly(await dependencies.repository(registry, repository)),
    onEvent(event) {
      if (event.type === 'outline' || event.type === 'plan' || event.type === 'transfer') return
      // "publishing to ..." is not so.
      dependencies.onEvent(event.type === 'log' ? { ...event, message: `dry run: ${event.message}` } : event)
    },
  }
}

function readOnly(repository: Repository): Repository {
  const never = (what: string) => async () => {
    throw new AppError('INTERNAL', `a dry run was about to ${what}`)
  }
  return {
    ...repository,
    exists: (descriptor, call) => repository.exists(descriptor, { ...call, leavesUploads: true }),
    preparePush: async () => undefined,
    releasePush: async () => undefined,
    cancelUpload: never('give up an upload'),
    push: never('send a blob'),
    putManifest: never('write a manifest'),
    putArtifactOrImage: never('write a manifest'),
    deleteManifest: never('delete a manifest'),
  }
}

/** Its end: a job that succeeds has done all that it had to do. */
export function tellDone(onEvent: OnEvent): void {
  onEvent({ type: 'plan', layers: 0, bytes: 0 })
}

/** The first known place that has a blob now; what cannot be asked there is not linked from there either. */
export function mountablesOf(
  mounts: Pick<Mounts, 'places' | 'sure'>,
  { registry, dependencies }: { registry: string; dependencies: Dependencies },
): NonNullable<WeighOptions['mountable']> {
  const { signal } = dependencies
  const opened = new Map<string, Promise<Repository>>()
  const at = (name: string): Promise<Repository> => {
    const repository = opened.get(name) ?? dependencies.repository(registry, name)
    opened.set(name, repository)
    return repository
  }
  const has = async (name: string, blob: Descriptor): Promise<boolean> => {
    try {
      return await (await at(name)).exists(blob, { signal })
    } catch (error) {
      if (toAppError(error).retry !== 'permanent') throw error
      return false
    }
  }
  return async (blob) => {
    if (mounts.sure !== undefined) return mounts.sure
    for (const name of await mounts.places(blob)) if (await has(name, blob)) return name
    return undefined
  }
}
