import type { OpenedArtifact } from '../../artifact/artifact.ts'
import { type NamedFile, openFiles } from '../../artifact/files.ts'
import { closeSource } from '../../content/opened.ts'
import { type LocalSources, openLocalSource } from '../../files/local-source.ts'
import type { Job } from '../../jobs/model/definitions.ts'
import type { ArtifactFile } from '../../jobs/model/job-options.ts'
import { AppError } from '../../lib/errors.ts'
import type { RunContext } from '../run-job.ts'

/** What a publish is of, where that is no package; undefined: it is one. Throws what opening and reading throws. */
export async function openArtifact(
  { source, options }: Job,
  { sources }: { sources: LocalSources },
  { signal, onEvent }: RunContext,
): Promise<OpenedArtifact | undefined> {
  if (source !== 'files:') return undefined
  const { files = [], config, artifactType, annotations } = options
  const named = await openAll([...files, ...(config ? [config] : [])], files.length, sources)
  const onRead = (bytesRead: number, bytesTotal: number) => onEvent({ type: 'source', bytesRead, bytesTotal })
  const artifact = { files: named.slice(0, files.length), config: config && named.at(-1), artifactType, annotations }
  return await openFiles(artifact, { signal, onRead })
}

/** The first `titled` of them have titles. */
async function openAll(files: readonly ArtifactFile[], titled: number, sources: LocalSources): Promise<NamedFile[]> {
  const opened: NamedFile[] = []
  try {
    for (const [place, file] of files.entries()) opened.push(await openNamed(file, sources, place < titled))
    return opened
  } catch (error) {
    for (const { file } of opened) await file[Symbol.asyncDispose]()
    throw error
  }
}

async function openNamed(
  { source: text, title, mediaType, annotations }: ArtifactFile,
  sources: LocalSources,
  titled: boolean,
): Promise<NamedFile> {
  const source = await openLocalSource(text, sources)
  if (!('file' in source)) {
    await closeSource(source)
    throw new AppError('PACKAGE_UNREADABLE', `${source.fileName} is a folder, not a file`, {
      hint: 'Name its files one by one.',
      details: { path: source.fileName },
    })
  }
  return {
    file: source.file,
    mediaType,
    annotations,
    ...(titled ? { title: title ?? source.fileName } : {}),
  }
}
