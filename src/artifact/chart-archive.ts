import { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import type { OpenedFile } from '../content/opened.ts'
import { readAll } from '../content/streams.ts'
import { throwIfAborted } from '../lib/abort.ts'
import { AppError, isAppError } from '../lib/errors.ts'
import { tarEntries } from '../zarf/archive/tar-entries.ts'
import { StreamTarInput } from '../zarf/archive/tar-input.ts'
import { artifactInvalid } from './artifact.ts'

/** Far above any chart; it is held in memory, as helm holds it. */
const MAX_CHART_BYTES = 20 * 1024 * 1024
/** As helm's. Source: helm v3.22 pkg/chart/loader/archive.go MaxDecompressedChartSize. */
const MAX_UNPACKED_BYTES = 100 * 1024 * 1024
/** Read on the worker's own event loop; most have 1 KiB. */
const MAX_YAML_BYTES = 64 * 1024

/** Of all that is in a chart's archive what says what it is. */
export interface ChartFiles {
  readonly bytes: Buffer
  readonly chart: Buffer
  /** Of charts of the first version: their dependencies. */
  readonly requirements: Buffer | undefined
}

/** All of a small file. Throws ARTIFACT_INVALID. */
export async function readWhole(file: OpenedFile, limit: number, signal: AbortSignal): Promise<Buffer> {
  if (file.size > limit) {
    const message = `${file.name} has ${file.size} bytes; at most ${limit} are read`
    throw artifactInvalid(message, 'Nothing that helm packages comes near this.', { size: file.size, limit })
  }
  const bytes = await readAll(file.stream({ signal }))
  await file.checkUnchanged()
  return bytes
}

/**
 * Reads a chart's archive to its end. Throws ARTIFACT_INVALID for what is none, or has more than helm unpacks; what reading
 * the file throws.
 */
export async function readChartArchive(file: OpenedFile, signal: AbortSignal): Promise<ChartFiles> {
  const bytes = await readWhole(file, MAX_CHART_BYTES, signal)
  try {
    const found = await readEntries(bytes, signal)
    if (!found.chart) throw artifactInvalid(`${file.name} is no chart: it has no Chart.yaml`, HINT)
    return { bytes, chart: found.chart, requirements: found.requirements }
  } catch (error) {
    throwIfAborted(signal)
    if (isAppError(error) && error.code === 'ARTIFACT_INVALID') throw error
    const why = error instanceof Error ? error.message : String(error)
    throw new AppError('ARTIFACT_INVALID', `${file.name} is no chart: ${why}`, { cause: error, hint: HINT })
  }
}

const HINT = 'A chart is the .tgz that helm package makes.'

async function readEntries(bytes: Buffer, signal: AbortSignal): Promise<{ chart?: Buffer; requirements?: Buffer }> {
  const found: { chart?: Buffer; requirements?: Buffer } = {}
  const input = new StreamTarInput(unpacked(bytes, signal))
  try {
    for await (const { path, size } of tarEntries(input)) {
      // Helm takes the first folder away, whatever it is called.
      const inner = path.slice(path.indexOf('/') + 1)
      if (inner !== 'Chart.yaml' && inner !== 'requirements.yaml') continue
      if (size > MAX_YAML_BYTES) throw artifactInvalid(`${inner} of the chart has ${size} bytes`, HINT)
      const text = await input.take(size)
      if (inner === 'Chart.yaml') found.chart = text
      else found.requirements = text
      await input.skip(Math.ceil(size / 512) * 512 - size)
    }
    await input.drain()
    return found
  } finally {
    await input.close()
  }
}

async function* unpacked(bytes: Buffer, signal: AbortSignal): AsyncGenerator<Buffer> {
  const gunzip = createGunzip()
  Readable.from([bytes]).pipe(gunzip)
  let count = 0
  for await (const chunk of gunzip) {
    throwIfAborted(signal)
    count += (chunk as Buffer).length
    if (count > MAX_UNPACKED_BYTES) {
      throw artifactInvalid(`it unpacks to more than ${MAX_UNPACKED_BYTES} bytes, and helm takes no more`, HINT)
    }
    yield chunk as Buffer
  }
}
