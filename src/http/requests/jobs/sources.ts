import type { Digest } from '../../../content/digest.ts'
import { storedDigest } from '../../../content/reference.ts'
import { isArchiveName, noArchive } from '../../../files/archive-name.ts'
import { checkLocalSource, type LocalSources } from '../../../files/local-source.ts'
import { isWebSource, parseWebSource } from '../../../files/web-source.ts'
import { AppError } from '../../../lib/errors.ts'
import type { ContentStore } from '../../../store/content-store.ts'
import { openStored } from '../../../transfer/publish/open.ts'
import { at, later, type MayName } from '../package-reference.ts'
import type { JobBody } from '../../schemas/job.ts'

export interface PublishSources {
  sources: LocalSources
  store: ContentStore
  /** Throws REGISTRY_NOT_ALLOWED for a host that callers may not name. */
  mayName: MayName
}

/**
 * Checks what a publish is to read, as far as that can be known now. Throws BODY_INVALID, PACKAGE_FORMAT_UNSUPPORTED,
 * PACKAGE_NOT_STORED, PACKAGE_INCOMPLETE, REGISTRY_NOT_ALLOWED, and what checkLocalSource throws.
 */
export async function checkPublishSource(
  { source: text, options: { sha256 } = {} }: Pick<JobBody, 'source' | 'options'>,
  { sources, store, mayName }: PublishSources,
): Promise<void> {
  if (isWebSource(text)) {
    const { url } = parseWebSource(text)
    if (sha256 === undefined) throw hashMissing()
    return await later('/source', mayName, url.host)
  }
  if (sha256 !== undefined) throw hashUnwanted()
  const stored = at('/source', storedDigest, text)
  if (stored !== undefined) return await later('/source', (digest) => checkStored(digest, store), stored)
  await checkLocalPackage(text, sources)
}

/** Throws PACKAGE_FORMAT_UNSUPPORTED, and what checkLocalSource throws. */
export async function checkLocalPackage(text: string, sources: LocalSources): Promise<void> {
  const source = await checkLocalSource(text, sources)
  if (source.isDirectory || isArchiveName(source.fileName)) return
  throw noArchive(
    source.fileName,
    'A source is a package archive that zarf made, or an unpacked package directory.',
    '/source',
  )
}

/** Opened, and closed again: that nothing of it is there by others alone. Throws PACKAGE_NOT_STORED, PACKAGE_INCOMPLETE. */
export async function checkStored(digest: Digest, store: ContentStore): Promise<void> {
  const opened = await openStored(store, digest, new AbortController().signal)
  await opened[Symbol.asyncDispose]()
}

function hashMissing(): AppError {
  return new AppError(
    'BODY_INVALID',
    'the option "sha256" is missing: a package of a web server is published by its hash',
    {
      hint: 'sha256sum tells it of a file; who offers a package says it beside the address.',
      details: { pointer: '/options/sha256' },
    },
  )
}

function hashUnwanted(): AppError {
  return new AppError('BODY_INVALID', 'the option "sha256" is for https: sources', {
    hint: 'Of an upload it is checked by Content-Digest, of a package by its own checksums.txt.',
    details: { pointer: '/options/sha256' },
  })
}
