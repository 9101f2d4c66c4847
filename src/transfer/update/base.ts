import type { Descriptor } from '../../content/descriptor.ts'
import { throwIfAborted } from '../../lib/abort.ts'
import { AppError, isAppError } from '../../lib/errors.ts'
import type { ContentStore, StoredPackage } from '../../store/content-store.ts'
import type { UpdateArchive, UpdateList } from '../../zarf/update-archive.ts'
import { allBlobs } from '../../zarf/update-parts.ts'
import type { OnEvent } from '../events.ts'
import { blobsByTitle, readStoredManifest, requireStored } from '../stored-package.ts'

type Update = Pick<UpdateArchive, 'list' | 'fileName'>

/**
 * Finds the base that an update is for, and in it all that the update takes from there, as far as sizes tell. `store`: as its owner sees it.
 * Throws UPDATE_BASE_MISSING with what is there instead, PACKAGE_INVALID for a list that takes what the base has not,
 * PACKAGE_INCOMPLETE, STORE_CORRUPT.
 */
export async function checkBase(
  update: Update,
  { store, signal }: { store: ContentStore; signal: AbortSignal },
): Promise<void> {
  const { base, fromBase, package: made } = update.list
  const record = await store.packages.get(base.digest)
  if (!record || record.kind === 'bundle') throw await baseMissing(update, store)
  if (record.name !== made.name || record.architecture !== made.architecture) throw ofAnother(update, record)
  const { layers } = await readStoredManifest(store, base.digest, signal)
  const has = new Map(allBlobs(layers).map(({ digest, size }) => [digest, size]))
  const strange = fromBase.find(({ digest, size }) => has.get(digest) !== size)
  if (strange) throw takesTooMuch(update, strange)
  try {
    await requireStored(store, record, blobsByTitle(fromBase))
  } catch (error) {
    throw withBase(error, update.list)
  }
}

/** Reads all that an update takes from its base, so that no damage is handed on. Throws STORE_CORRUPT naming the base. */
export async function readBase(
  { list }: Update,
  { store, onEvent, signal }: { store: ContentStore; onEvent: OnEvent; signal: AbortSignal },
): Promise<void> {
  for (const blob of list.fromBase) {
    try {
      // The store compares it with its digest: read from its first byte to its last.
      for await (const _ of await store.open(blob, { signal })) throwIfAborted(signal)
    } catch (error) {
      throw withBase(error, list)
    }
    onEvent({ type: 'exists', digest: blob.digest })
  }
}

async function baseMissing({ list, fileName }: Update, store: ContentStore): Promise<AppError> {
  const { base, package: made } = list
  const all = await store.packages.list()
  const there = all
    .filter(({ kind, name, architecture }) => !kind && name === made.name && architecture === made.architecture)
    .map(({ digest, version, flavor }) => ({ digest, version, flavor }))
  const others = there.length === 0 ? 'none of it' : there.slice(0, 5).map(told).join(', ')
  return new AppError(
    'UPDATE_BASE_MISSING',
    `${fileName} is for ${made.name} ${told(base)} on ${made.architecture}, which the store does not hold for this caller; it holds ${others}`,
    {
      details: { base: base.digest, version: base.version, digest: list.manifest.digest, stored: there.slice(0, 100) },
      hint: `Pull ${made.name}@${base.digest} into the store from where it was published, under the same token; or have the update made with "since" one that is there, or the whole archive: /v1/packages/${list.manifest.digest}/archive.`,
    },
  )
}

function told({ version, digest }: { version: string | null; digest: string }): string {
  return version === null ? digest : `${version} (${digest})`
}

function ofAnother({ list, fileName }: Update, { name, architecture }: StoredPackage): AppError {
  const { package: made, base } = list
  return new AppError(
    'PACKAGE_INVALID',
    `${fileName} is for ${made.name} on ${made.architecture}, and its base ${base.digest} is ${name} on ${architecture}`,
    { hint: 'It was not made by layerd: download the update again.', details: { base: base.digest } },
  )
}

function takesTooMuch({ list, fileName }: Update, { digest, size }: Descriptor): AppError {
  return new AppError(
    'PACKAGE_INVALID',
    `${fileName} takes ${digest} of ${size} bytes from its base ${list.base.digest}, which has no such layer`,
    { hint: 'It was not made by layerd: download the update again.', details: { base: list.base.digest, digest } },
  )
}

/** What is wrong with the base says whose it is, and what to do. */
function withBase(error: unknown, { base, package: made, manifest }: UpdateList): unknown {
  if (!isAppError(error) || (error.code !== 'STORE_CORRUPT' && error.code !== 'PACKAGE_INCOMPLETE')) return error
  return new AppError(error.code, `the base ${made.name} ${told(base)}: ${error.message}`, {
    side: 'destination',
    details: { ...error.details, base: base.digest },
    hint: `Pull ${made.name}@${base.digest} again, whole, and then retry; or bring the whole archive: /v1/packages/${manifest.digest}/archive.`,
    cause: error,
  })
}
