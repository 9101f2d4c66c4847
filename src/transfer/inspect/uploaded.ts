import { type Descriptor, titleOrDigest } from '../../content/descriptor.ts'
import type { ByteStream } from '../../content/endpoints.ts'
import { verified } from '../../content/hashing/verify.ts'
import { parseManifest } from '../../content/manifest.ts'
import { closeSource, type OpenedSource } from '../../content/opened.ts'
import { firstBytes, readAll, streamOf } from '../../content/streams.ts'
import { AppError } from '../../lib/errors.ts'
import { createFairLimiter, type FairLimiter } from '../../lib/queues/fair-limiter.ts'
import { checksumMismatch, openPackage } from '../../zarf/package.ts'
import { type PackageLayers, packageLayers } from '../../zarf/pulled-package.ts'
import { createWeighedCache } from './cache.ts'
import { createFlights } from './flights.ts'
import type { InspectablePackage } from './inspectable.ts'
import { scanPackage, type ScannedPackage } from './scan.ts'

/** Packages in files of this machine, for who looks into them. */
export interface ArchiveReader {
  /**
   * `openSource` opens the file anew each time. It is read through once for all that `by` asks, when it is its turn, and what that
   * found is kept for all by the file's identity. Throws what openPackage throws, and what `openSource` does.
   */
  open(
    openSource: () => Promise<OpenedSource>,
    asking: { by: string; signal: AbortSignal },
  ): Promise<InspectablePackage>
}

const CACHE_BYTES = 64 * 2 ** 20
/** A pass takes a second of a core for each GB. */
const PASSES_AT_ONCE = 2

/** `fair`: one caller has one pass at a time, so that another is free for others. */
export function createArchiveReader({ fair }: { fair: boolean }): ArchiveReader {
  const cache = createWeighedCache<Scanned>(CACHE_BYTES)
  const flights = createFlights<Scanned>()
  const limiter = createFairLimiter({ all: PASSES_AT_ONCE, perKey: fair ? 1 : PASSES_AT_ONCE })
  return {
    async open(openSource, { by, signal }) {
      const { identity, fileName } = await lookAt(openSource)
      const pass = async (stop: AbortSignal) => {
        // Somebody else's may have ended while this one waited.
        const known = cache.get(identity)
        if (known) return known
        await using opened = await openPackage(await openSource(), { signal: stop })
        const scanned = withLayers(await scanPackage(opened, { signal: stop }), fileName)
        cache.set(identity, scanned, scanned.bytes)
        return scanned
      }
      const scan = (stop: AbortSignal) => limiter.run(by, () => pass(stop), stop)
      // Of each its own: none waits in the line of another.
      const scanned = cache.get(identity) ?? (await flights.run(`${identity} ${by}`, signal, scan))
      return scannedPackage(scanned, { openSource, fileName, by, signal, limiter })
    },
  }
}

async function lookAt(openSource: () => Promise<OpenedSource>): Promise<{ identity: string; fileName: string }> {
  const source = await openSource()
  await closeSource(source)
  if ('file' in source) return { identity: source.file.identity, fileName: source.fileName }
  throw new AppError('PACKAGE_FORMAT_UNSUPPORTED', `${source.fileName} is a folder, and not a package's archive`)
}

interface Reopened {
  openSource: () => Promise<OpenedSource>
  fileName: string
  signal: AbortSignal
  by: string
  limiter: FairLimiter
}

interface Scanned extends ScannedPackage {
  readonly layers: PackageLayers
}

function withLayers(scanned: ScannedPackage, fileName: string): Scanned {
  const manifest = parseManifest(scanned.contents.manifest, fileName)
  if (manifest.kind !== 'manifest') throw new AppError('INTERNAL', `${fileName} has an index for a manifest`)
  return { ...scanned, layers: packageLayers(manifest, fileName) }
}

function scannedPackage({ contents, layers, small, inner }: Scanned, reopened: Reopened): InspectablePackage {
  const { fileName, signal } = reopened
  const stream = (layer: Descriptor, range: { start: number; end: number }): ByteStream => {
    const known = small.get(layer.digest)
    return known ? streamOf(known.subarray(range.start, range.end)) : reopenedRange(layer, range, reopened)
  }
  return {
    where: fileName,
    digest: contents.manifest.digest,
    layers,
    signal,
    async read(layer) {
      const known = small.get(layer.digest)
      if (known) return known
      const verify = checksumMismatch(titleOrDigest(layer), layer.digest)
      return await readAll(verified(stream(layer, { start: 0, end: layer.size }), layer, verify))
    },
    async inner(layer) {
      const files = inner.get(titleOrDigest(layer))
      if (files === undefined || files instanceof AppError) throw files ?? notListed(layer)
      return files
    },
    stream,
  }
}

function notListed(layer: Descriptor): AppError {
  return new AppError('INTERNAL', `${titleOrDigest(layer)} was not listed with its package`)
}

/**
 * Of a compressed archive, by decompressing it up to there: that has its turn among the passes, and what then goes to a client
 * has not.
 */
async function* reopenedRange(
  layer: Descriptor,
  range: { start: number; end: number },
  reopened: Reopened,
): ByteStream {
  const { limiter, by, signal } = reopened
  const { opened, stream, first } = await limiter.run(by, () => reopen(layer, range, reopened), signal)
  await using _opened = opened
  try {
    for (let next = first; !next.done; next = await stream.next()) yield next.value
  } finally {
    await stream.return?.()
  }
}

async function reopen(
  layer: Descriptor,
  { start, end }: { start: number; end: number },
  { openSource, signal }: Reopened,
): Promise<{ opened: AsyncDisposable; stream: AsyncIterator<Buffer>; first: IteratorResult<Buffer> }> {
  const opened = await openPackage(await openSource(), { signal })
  try {
    const whole = await opened.open(layer, { offset: start, end, signal })
    const stream = firstBytes(whole, end - start)[Symbol.asyncIterator]()
    return { opened, stream, first: await stream.next() }
  } catch (error) {
    await opened[Symbol.asyncDispose]()
    throw error
  }
}
