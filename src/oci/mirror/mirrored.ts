import { blobName, type Descriptor } from '../../content/descriptor.ts'
import type { Digest } from '../../content/digest.ts'
import type { ByteStream, ContentSource, OpenOptions } from '../../content/endpoints.ts'
import { parseManifest, type RawManifest } from '../../content/manifest.ts'
import { RangeIgnored } from '../../content/ranges.ts'
import type { Clock } from '../../lib/clock.ts'
import { AppError, isAppError } from '../../lib/errors.ts'
import { mirrorPlace } from './mirror-transport.ts'
import { type MirrorRests, restsOf } from './rests.ts'
import type { CallOptions } from '../request/transport.ts'

/** What a mirror can serve of a repository. */
interface Reads<Head> extends Pick<ContentSource, 'open' | 'ranges'> {
  readonly registry: string
  readonly repository: string
  getManifest(reference: string, options: CallOptions): Promise<RawManifest | undefined>
  headManifest(reference: string, options: CallOptions): Promise<Head | undefined>
}

/** That the registry was asked after its mirror. `miss`: the mirror does not have it. */
export interface MirrorNote {
  readonly kind: 'miss' | 'failure'
  readonly message: string
}

export type OnMirror = (registry: string, note: MirrorNote) => void

interface MirrorOptions<Head> {
  /** `host[:port][/path]`, for people. */
  readonly mirror: string
  readonly registry: string
  /** The repository there. Looked for when it is first needed; what it throws is the mirror's failure. */
  readonly open: () => Promise<Reads<Head>>
  readonly health: MirrorHealth
}

/** What one caller knows of a mirror: whether it is worth asking. */
interface MirrorHealth {
  isUsable(): boolean
  served(): void
  missed(what: string): void
  failed(what: string, error: unknown): void
}

export interface MirrorsOptions<Repository> {
  /** `host[:port][/path]` of a registry's, if it has one. */
  mirror: ((registry: string) => string | undefined) | undefined
  onMirror: OnMirror | undefined
  /** A repository of the mirror `host`, where content of `registry` is to be had. */
  open: (host: string, repository: string, registry: string) => Promise<Repository>
  /** Who shares these knows together which mirrors do not answer. */
  connections: object
  clock: Clock
}

/** The mirrors of one caller: repositories whose content is read there first. */
export function createMirrors<Repository extends Reads<Head>, Head = HeadOf<Repository>>(
  options: MirrorsOptions<Repository>,
): (own: Repository) => Repository {
  const healths = new Map<string, MirrorHealth>()
  const rests = restsOf(options.connections, options.clock)
  const healthOf = (registry: string, mirror: string): MirrorHealth => {
    const tell = (note: MirrorNote): void => options.onMirror?.(registry, note)
    const health = healths.get(registry) ?? createHealth({ mirror, registry, rests, tell })
    healths.set(registry, health)
    return health
  }
  return (own) => {
    const { registry, repository } = own
    const mirror = options.mirror?.(registry)
    if (mirror === undefined) return own
    const { host, path } = mirrorPlace(mirror)
    let opened: Promise<Repository> | undefined
    const open = () => (opened ??= options.open(host, `${path}${repository}`, registry))
    const reads = mirroredReads<Head>(own, { mirror, registry, open, health: healthOf(registry, mirror) })
    return {
      ...own,
      get ranges() {
        return own.ranges ?? false
      },
      ...reads,
    }
  }
}

type HeadOf<Repository> = Repository extends Reads<infer Head> ? Head : never

/** In a row: then it is left alone, as each may have cost the time of a connection that nobody took. */
const MAX_FAILURES = 3

interface HealthOptions extends Pick<MirrorOptions<never>, 'mirror' | 'registry'> {
  readonly rests: MirrorRests
  readonly tell: (note: MirrorNote) => void
}

/** Tells of each kind of note once. */
function createHealth({ mirror, registry, rests, tell }: HealthOptions): MirrorHealth {
  const told = new Set<MirrorNote['kind']>()
  let failures = 0
  const tellOnce = (note: MirrorNote): void => {
    if (told.has(note.kind)) return
    told.add(note.kind)
    tell(note)
  }
  return {
    isUsable() {
      if (failures >= MAX_FAILURES) return false
      if (!rests.has(mirror)) return true
      tellOnce({ kind: 'failure', message: `the mirror ${mirror} did not answer a moment ago: ${registry} is asked` })
      return false
    },
    served() {
      failures = 0
    },
    missed(what) {
      failures = 0
      tellOnce({ kind: 'miss', message: `the mirror ${mirror} does not have ${what}: ${registry} is asked for it` })
    },
    failed(what, error) {
      failures += 1
      rests.failed(mirror, error)
      const why = isAppError(error) ? `${error.message} (${error.code})` : String(error)
      tellOnce({ kind: 'failure', message: `the mirror ${mirror} failed at ${what}, and ${registry} is asked: ${why}` })
    },
  }
}

/**
 * Reads of a repository that go to a mirror first, and to the registry for all that the mirror does not serve: nothing fails
 * for a mirror. What it says under a tag counts where it can be read as a manifest. Source: oci-client.md S4.
 */
function mirroredReads<Head>(
  own: Reads<Head>,
  options: MirrorOptions<Head>,
): Pick<Reads<Head>, 'getManifest' | 'headManifest' | 'open'> {
  const { mirror, health } = options
  const { tried, failed } = createAttempts(options)
  const isTrusted = createTrust(failed)

  async function* goingOn(first: ByteStream, descriptor: Descriptor, call: OpenOptions): ByteStream {
    const { offset = 0, end = descriptor.size } = call
    let position = offset
    try {
      for await (const chunk of first) {
        position += chunk.length
        yield chunk
      }
      return
    } catch (error) {
      if (call.signal.aborted || isOurs(error)) throw error
      failed(blobName(descriptor), error)
    }
    if (position < end) yield* await own.open(descriptor, { ...call, offset: position })
  }

  return {
    async getManifest(reference, call) {
      const found = await tried(`the manifest ${reference}`, call, async (there) => {
        const raw = await there.getManifest(reference, { signal: call.signal })
        if (raw) parseManifest(raw, `${mirror}:${reference}`)
        return raw
      })
      return found ?? own.getManifest(reference, call)
    },
    async headManifest(reference, call) {
      const look = (there: Reads<Head>) => there.headManifest(reference, { signal: call.signal })
      return (await tried(`the manifest ${reference}`, call, look)) ?? own.headManifest(reference, call)
    },
    async open(descriptor, call) {
      const { onRetry: _onRetry, ...alone } = call
      const trusted = health.isUsable() && isTrusted(descriptor, call.offset ?? 0)
      const found = trusted && (await tried(blobName(descriptor), call, (there) => there.open(descriptor, alone)))
      return found ? goingOn(found, descriptor, call) : own.open(descriptor, call)
    },
  }
}

interface Attempts<Head> {
  /** What the mirror gives; undefined where the registry has to be asked. */
  readonly tried: <T>(
    what: string,
    call: Pick<OpenOptions, 'signal'>,
    look: (there: Reads<Head>) => Promise<T | undefined>,
  ) => Promise<T | undefined>
  readonly failed: (what: string, error: unknown) => void
}

function createAttempts<Head>({ open, health }: MirrorOptions<Head>): Attempts<Head> {
  const failed = (what: string, error: unknown): void =>
    isAbsent(error) ? health.missed(what) : health.failed(what, error)
  return {
    failed,
    async tried(what, { signal }, look) {
      if (!health.isUsable()) return undefined
      try {
        const found = await look(await open())
        if (found === undefined) health.missed(what)
        else health.served()
        return found
      } catch (error) {
        if (signal.aborted || isOurs(error)) throw error
        failed(what, error)
        return undefined
      }
    },
  }
}

/**
 * Whether a mirror is still to be asked for a blob. Blobs are not verified as they are opened, so one that is opened from its
 * first byte again has been found wrong, and comes from the registry from then on.
 */
function createTrust(failed: Attempts<never>['failed']): (descriptor: Descriptor, offset: number) => boolean {
  const asked = new Set<Digest>()
  const distrusted = new Set<Digest>()
  return (descriptor, offset) => {
    const { digest } = descriptor
    if (distrusted.has(digest)) return false
    if (offset === 0 && asked.has(digest)) {
      distrusted.add(digest)
      failed(blobName(descriptor), new AppError('DIGEST_MISMATCH', 'it gave other bytes'))
      return false
    }
    asked.add(digest)
    return true
  }
}

function isAbsent(error: unknown): boolean {
  return isAppError(error) && (error.code === 'BLOB_NOT_FOUND' || error.code === 'MANIFEST_NOT_FOUND')
}

/** Nothing that another place could do better. */
function isOurs(error: unknown): boolean {
  if (error instanceof RangeIgnored || !isAppError(error)) return false
  return /^(?:JOB|STORE|QUEUE)_|^SHUTTING_DOWN$/.test(error.code)
}
