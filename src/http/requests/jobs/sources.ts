import { requirePlace } from '../../../access/limits.ts'
import type { Principal } from '../../../access/principal.ts'
import type { Digest } from '../../../content/digest.ts'
import { formatReference, storedDigest } from '../../../content/reference.ts'
import { isArchiveName, isChartName, noArchive } from '../../../files/archive-name.ts'
import { checkLocalSource, type LocalSources } from '../../../files/local-source.ts'
import { isWebSource, parseWebSource } from '../../../files/web-source.ts'
import { AppError } from '../../../lib/errors.ts'
import type { ContentStore } from '../../../store/content-store.ts'
import { openStored } from '../../../transfer/publish/open.ts'
import { at, later, type MayName, parsePackageReference } from '../package-reference.ts'
import type { JobBody } from '../../schemas/job.ts'
import { refuseFileOptions, refuseForChart } from './files.ts'

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
  { source: text, options = {} }: Pick<JobBody, 'source' | 'options'>,
  { sources, store, mayName }: PublishSources,
): Promise<void> {
  if (await isChart(text, sources)) return refuseForChart(options)
  refuseFileOptions(options)
  const { sha256 } = options
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

/**
 * Checks a package of a registry, the store or this machine; `registry` where it is in one. Throws as checkPublishSource, and
 * REFERENCE_INVALID, TOKEN_LIMITED.
 */
export async function checkPackageSource(
  { source }: Pick<JobBody, 'source'>,
  { sources, store, mayName, caller }: PublishSources & { caller: Principal },
): Promise<{ source: string; registry?: string }> {
  if (isLocal(source)) {
    const stored = at('/source', storedDigest, source)
    if (stored === undefined) await checkLocalPackage(source, sources)
    else await later('/source', (digest) => checkStored(digest, store), stored)
    return { source }
  }
  const reference = parsePackageReference(source, '/source')
  at('/source', () => requirePlace(caller, reference), undefined)
  await later('/source', mayName, reference.registry)
  return { source: formatReference(reference), registry: reference.registry }
}

/** Whether a source lies on this machine or in the store. */
export function isLocal(source: string): boolean {
  return /^(?:store|file|upload):/.test(source)
}

/** An upload has a name of its own. Throws what checkLocalSource throws. */
async function isChart(text: string, sources: LocalSources): Promise<boolean> {
  if (!/^(?:file|upload):/.test(text)) return false
  const { fileName, isDirectory } = await checkLocalSource(text, sources)
  return isChartName(fileName) && !isDirectory
}

/** Throws PACKAGE_FORMAT_UNSUPPORTED, and what checkLocalSource throws. */
export async function checkLocalPackage(text: string, sources: LocalSources): Promise<void> {
  const source = await checkLocalSource(text, sources)
  if (source.isDirectory || isArchiveName(source.fileName)) return
  throw noArchive(
    source.fileName,
    'A source is a package archive that zarf made, or an unpacked package directory; of a publish a Helm chart (.tgz), too, and any files with "source": "files:".',
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
