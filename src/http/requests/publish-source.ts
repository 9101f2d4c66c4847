import { type Digest, parseDigest } from '../../content/digest.ts'
import { checkLocalSource, type LocalSources } from '../../files/local-source.ts'
import { isWebSource, parseWebSource } from '../../files/web-source.ts'
import { AppError } from '../../lib/errors.ts'
import type { ContentStore } from '../../store/content-store.ts'
import { openStoredForPublish } from '../../transfer/stored-publish.ts'
import { at, later, type MayName } from './package-reference.ts'
import type { JobBody } from '../schemas/job.ts'

export interface PublishSources {
  sources: LocalSources
  store: ContentStore
  /** Throws REGISTRY_NOT_ALLOWED for a host that callers may not name. */
  mayName: MayName
}

/** The file name alone decides the format. zarf-packages.md 1.1. */
const ARCHIVE = /\.tar(\.zst)?$/
const STORE = 'store:'

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
  if (text.startsWith(STORE)) {
    const digest = at('/source', parseDigest, text.slice(STORE.length))
    return await later('/source', (stored) => checkStored(stored, store), digest)
  }
  await checkLocalPackage(text, sources)
}

/** Throws PACKAGE_FORMAT_UNSUPPORTED, and what checkLocalSource throws. */
export async function checkLocalPackage(text: string, sources: LocalSources): Promise<void> {
  const source = await checkLocalSource(text, sources)
  if (source.isDirectory || ARCHIVE.test(source.fileName)) return
  throw new AppError('PACKAGE_FORMAT_UNSUPPORTED', `"${source.fileName}" ends in neither .tar.zst nor .tar`, {
    hint: 'A source is a package archive that zarf made, or an unpacked package directory.',
    details: { pointer: '/source' },
  })
}

/** Opened, and closed again: it proves nothing for later. */
async function checkStored(digest: Digest, store: ContentStore): Promise<void> {
  const opened = await openStoredForPublish(store, digest, new AbortController().signal)
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
