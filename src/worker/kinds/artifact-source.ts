import type { OpenedArtifact } from '../../artifact/artifact.ts'
import { openChart } from '../../artifact/chart.ts'
import { type NamedFile, openFiles } from '../../artifact/files.ts'
import { closeSource, type OpenedFile } from '../../content/opened.ts'
import { isChartName } from '../../files/archive-name.ts'
import { type LocalSources, openLocalSource } from '../../files/local-source.ts'
import type { Job } from '../../jobs/model/definitions.ts'
import type { ArtifactFile } from '../../jobs/model/job-options.ts'
import { goTime } from '../../lib/formats/go-time.ts'
import { AppError, isAppError } from '../../lib/errors.ts'
import type { RunContext } from '../run-job.ts'

/** What a publish is of, where that is no package; undefined: it is one. Throws what opening and reading throws. */
export async function openArtifact(
  job: Job,
  { sources }: { sources: LocalSources },
  context: RunContext,
): Promise<OpenedArtifact | undefined> {
  if (job.source === 'files:') return await openNamedFiles(job, sources, context)
  if (!/^(?:file|upload):/.test(job.source)) return undefined
  const source = await openLocalSource(job.source, sources)
  if (!('file' in source) || !isChartName(source.fileName)) {
    await closeSource(source)
    return undefined
  }
  const { file } = source
  const isOurs = job.source.startsWith('file:')
  const { annotations } = job.options
  const created = isOurs && file.modifiedAt ? goTime(file.modifiedAt) : undefined
  const provenance = isOurs ? await openBeside(`${job.source}.prov`, sources) : undefined
  return await openChart({ file, provenance, created, annotations }, context.signal)
}

/** helm takes along what lies beside a chart under this name. */
async function openBeside(source: string, sources: LocalSources): Promise<OpenedFile | undefined> {
  try {
    const opened = await openLocalSource(source, sources)
    if ('file' in opened) return opened.file
    await closeSource(opened)
    return undefined
  } catch (error) {
    if (isAppError(error) && error.code === 'PACKAGE_NOT_FOUND') return undefined
    throw error
  }
}

async function openNamedFiles(
  { options }: Job,
  sources: LocalSources,
  { signal, onEvent }: RunContext,
): Promise<OpenedArtifact> {
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
