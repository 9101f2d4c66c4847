import { copyBlobs } from '../../content/copy-graph.ts'
import { type Descriptor, titleOrDigest } from '../../content/descriptor.ts'
import type { Digest } from '../../content/digest.ts'
import { repositoryFor } from '../../content/reference.ts'
import { AppError } from '../../lib/errors.ts'
import type { PackageSignature } from '../../trust/verification.ts'
import type { IndexedBundle, OpenedBundle, StreamedBundle } from '../../uds/bundle-archive.ts'
import type { Bundle } from '../../uds/contents/bundle.ts'
import { checkBundledPackages } from '../bundle/bundled.ts'
import { presentBlobs } from '../bundle/blobs.ts'
import { bundledPackages } from '../bundle/packages.ts'
import { signedBundle } from '../bundle/signature.ts'
import type { OnEvent } from '../events.ts'
import { type Publishable, toldReads } from '../plan.ts'
import { readerOf, readOpenedBundle, wrongBlob } from '../bundle/read.ts'
import { moveArchive } from './move-archive.ts'
import type { PublishDependencies, PublishOutcome, PublishRequest } from './request.ts'
import type { MoveOptions, PublishSource } from './source.ts'

/** A bundle as a publish sees it, with what is told of it in the end. */
export interface BundleSource {
  readonly source: PublishSource
  readonly signatures: readonly PackageSignature[] | undefined
  readonly told: Partial<PublishOutcome>
}

type Reading = Pick<PublishDependencies, 'signal' | 'onEvent'>

/**
 * Reads the bundle's head, and checks its signature where that is wanted. Throws BODY_INVALID, PACKAGE_*, MANIFEST_*,
 * SIGNATURE_*.
 */
export async function openBundleSource(
  opened: OpenedBundle,
  request: PublishRequest,
  { signal, onEvent }: Reading,
): Promise<BundleSource> {
  refuseOtherManifests(request)
  const bundle = await readOpenedBundle(opened, signal)
  const { name, version } = bundle.outline
  const told = { name, version, packages: bundledPackages(bundle) }
  const { verificationFor, bundledVerificationFor, destination } = request
  const verification = await verificationFor?.(repositoryFor(destination, name))
  const [read, where] = [readerOf(opened, signal), opened.fileName]
  const signatures = verification?.check(await signedBundle(bundle, read), where)
  await checkBundledPackages(bundle, { verificationFor: bundledVerificationFor, read, where, onEvent, signal })
  const source = opened.kind === 'indexed-bundle' ? indexedBundle(opened) : streamedBundle(opened, bundle, request.scan)
  onEvent({ type: 'log', level: 'info', message: `the bundle ${name} is of ${told.packages.length} packages` })
  return { source, signatures, told }
}

/** Its packages' digests are pinned in it, and its own is what people know it by. */
function refuseOtherManifests({ manifest = 'image', artifactType, subject, sign }: PublishRequest): void {
  if (sign) {
    throw new AppError('PACKAGE_NOT_SIGNABLE', 'a bundle cannot be signed here: only packages are', {
      hint: 'Leave "options.sign" out; uds create signs a bundle as it makes it.',
      details: { pointer: '/options/sign' },
    })
  }
  if (manifest === 'image' && artifactType === undefined && subject === undefined) return
  throw new AppError('BODY_INVALID', 'a bundle is published with the manifest that it has', {
    hint: 'Leave "options.manifest", "options.artifactType" and "options.subject" out: these are for packages.',
    details: { pointer: '/options' },
  })
}

function indexedBundle(opened: IndexedBundle): PublishSource {
  const { bundle } = opened
  const isThere = ({ digest }: Descriptor): boolean => opened.has(digest)
  return {
    guess: bundle.identity,
    async learn({ signal, onEvent }) {
      const contents = await contentsOf(bundle, isThere, { opened, signal, onEvent })
      return { digests: contents.layers.map(({ digest }) => digest), contents }
    },
    async move({ repository, concurrency, mountFrom, signal, onEvent }) {
      const contents = publishable(bundle, isThere)
      // The largest first: the end of the job is then many short tails instead of one long one.
      await copyBlobs(
        contents.layers.toSorted((a, b) => b.size - a.size),
        opened,
        repository,
        { concurrency, mountFrom, signal, onEvent, verify: (blob) => wrongBlob(titleOrDigest(blob), blob.digest) },
      )
      return contents
    },
  }
}

/**
 * What is in the archive is known once it was read to its end: what the bundle should have and lacks is found then, before the
 * tag moves.
 */
function streamedBundle(opened: StreamedBundle, bundle: Bundle, scan: boolean): PublishSource {
  const named = bundle.blobs.filter(({ digest }) => digest !== bundle.config.descriptor.digest)
  const concluded = async (met: ReadonlySet<Digest>, { signal, onEvent }: Reading): Promise<Publishable> =>
    await contentsOf(bundle, ({ digest }) => met.has(digest), { opened, signal, onEvent })
  return {
    guess: bundle.identity,
    async learn(options) {
      const digests = named.map(({ digest }) => digest)
      const { identity } = bundle
      if (!scan) return { digests, identity, contents: undefined }
      options.onEvent({ type: 'outline', layers: bundle.blobs.length })
      return { digests, identity, contents: await concluded(await scanned(opened, options), options) }
    },
    async move(options: MoveOptions) {
      const declared = new Map<string, Digest>(named.map(({ digest }) => [digest, digest]))
      const verify = ({ path, digest }: { path: string; digest: Digest }) => wrongBlob(path, digest)
      const met = await moveArchive(opened, { ...options, declared, verify })
      return await concluded(new Set(met.map(({ digest }) => digest)), options)
    },
  }
}

async function scanned(opened: StreamedBundle, { signal, onEvent }: Reading): Promise<Set<Digest>> {
  const met = new Set<Digest>()
  await using pass = opened.pass({ signal, onRead: toldReads(opened, onEvent) })
  for await (const { digest } of pass) met.add(digest)
  return met
}

/** Throws PACKAGE_INVALID for what is absent and should not be (uds/contents/left-out.ts). */
async function contentsOf(
  bundle: Bundle,
  isThere: (blob: Descriptor) => boolean,
  { opened, signal, onEvent }: { opened: OpenedBundle; signal: AbortSignal; onEvent: OnEvent },
): Promise<Publishable> {
  const contents = publishable(bundle, isThere)
  const there = new Set([...contents.layers, bundle.config.descriptor].map(({ digest }) => digest))
  await presentBlobs(bundle, there, { read: readerOf(opened, signal), where: opened.fileName, onEvent, signal })
  return contents
}

function publishable(bundle: Bundle, isThere: (blob: Descriptor) => boolean): Publishable {
  const { identity, raw, config, blobs } = bundle
  const layers = blobs.filter((blob) => blob.digest !== config.descriptor.digest && isThere(blob))
  return { identity, manifest: raw, config, layers }
}
