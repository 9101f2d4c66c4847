import { copyBlob } from '../../content/copy-graph.ts'
import { type Descriptor, titleOrDigest } from '../../content/descriptor.ts'
import type { BlobOpener, ByteStream } from '../../content/endpoints.ts'
import { verified } from '../../content/hashing/verify.ts'
import { bufferOpener, skipBytes, streamOf } from '../../content/streams.ts'
import { throwIfAborted } from '../../lib/abort.ts'
import { toAppError } from '../../lib/errors.ts'
import { checksumMismatch } from '../../zarf/package.ts'
import type { UpdateArchive } from '../../zarf/update-archive.ts'
import { allBlobs } from '../../zarf/update-parts.ts'
import { announceBlobs } from '../plan.ts'
import { checkBase, readBase } from './base.ts'
import { type CheckedUpdate, checkUpdate, outcomeOf, recordOf } from './checked-update.ts'
import type { ApplyDependencies, ApplyOutcome, ApplyRequest } from './request.ts'

export type { ApplyDependencies, ApplyOutcome, ApplyRequest } from './request.ts'

/**
 * Puts a package together of a stored base and an update's archive: the store then holds it under the digest that it has everywhere.
 * Before anything is written the list, manifest, checksums, the signature where that is wanted, and all that comes from the base are
 * found right, and room is kept. Every blob of the archive is hashed, also where the store has it. What an update brought that turns
 * out wrong goes again. Throws PACKAGE_*, MANIFEST_*, SIGNATURE_*, UPDATE_BASE_MISSING, STORE_*, JOB_FENCED, JOB_CANCELED.
 */
export async function apply(request: ApplyRequest, dependencies: ApplyDependencies): Promise<ApplyOutcome> {
  const { store, onEvent, signal } = dependencies
  onEvent({ type: 'phase', phase: 'planning' })
  const checked = await checkUpdate(request, dependencies)
  await checkBase(request.update, dependencies)
  try {
    await bring(checked, request.owner, dependencies)
  } catch (thrown) {
    const error = toAppError(thrown)
    if (error.retry === 'permanent' && !signal.aborted) await forget(request.update, store)
    throw error
  }
  return outcomeOf(checked)
}

async function bring(
  checked: CheckedUpdate,
  owner: string,
  { store, onEvent, signal, checkOwnership }: ApplyDependencies,
): Promise<void> {
  const { update } = checked
  const blobs = allBlobs(update.layers)
  announceBlobs(blobs, onEvent)
  await using _lease = await store.lease([...blobs, update.list.manifest])
  onEvent({ type: 'phase', phase: 'verifying' })
  await readBase(update, { store, onEvent, signal })
  onEvent({ type: 'phase', phase: 'transferring' })
  await takeBlobs(update, { store, onEvent, signal })
  onEvent({ type: 'phase', phase: 'committing' })
  await checkOwnership()
  await store.push(update.list.manifest, bufferOpener(update.manifest.bytes), { signal })
  await store.packages.put({ ...recordOf(checked), owner })
}

type Taking = Pick<ApplyDependencies, 'store' | 'onEvent' | 'signal'>

async function takeBlobs(update: UpdateArchive, taking: Taking): Promise<void> {
  for (const blob of update.list.included) {
    const bytes = update.head.get(blob.digest)
    if (bytes) await takeBlob(blob, { first: () => streamOf(bytes), again: () => streamOf(bytes) }, taking)
  }
  for await (const { blob, content } of update.rest()) {
    await takeBlob(blob, { first: content, again: () => update.reopen(blob) }, taking)
  }
}

/** The bytes as they come by, and once more from the archive's beginning. */
interface BlobReadings {
  readonly first: () => ByteStream
  readonly again: () => ByteStream
}

/**
 * Who brings all of a blob may have it: that the store holds one of this digest is no proof of what lies in the archive, so its bytes are
 * read and hashed to their end in any case.
 */
async function takeBlob(blob: Descriptor, { first, again }: BlobReadings, taking: Taking): Promise<void> {
  const { store, onEvent, signal } = taking
  const { digest } = blob
  const verify = checksumMismatch(titleOrDigest(blob), digest)
  let [opened, proven] = [false, false]
  const whole = async function* (): ByteStream {
    const reading = opened ? again : first
    opened = true
    for await (const chunk of verified(reading(), blob, verify)) {
      throwIfAborted(signal)
      yield chunk
    }
    proven = true
  }
  const open: BlobOpener = async ({ offset = 0 }) => skipBytes(whole(), offset)
  const prove = async (): Promise<void> => {
    for await (const _ of whole());
  }
  if (await store.exists(blob, { signal })) {
    await prove()
    onEvent({ type: 'exists', digest })
    return
  }
  await copyBlob(blob, open, store, { signal, onEvent, verify, exists: false })
  // Somebody else brought it in between.
  if (!proven) await prove()
}

/** Of an archive that lies nothing stays; what others need does. */
async function forget({ list }: UpdateArchive, store: ApplyDependencies['store']): Promise<void> {
  const only = new Set([...list.included, list.manifest].map(({ digest }) => digest))
  await store.gc({ graceMs: 0, only })
}
