import { distinct } from '../content/copy-graph.ts'
import type { Descriptor } from '../content/descriptor.ts'
import { digestOf } from '../content/digest.ts'
import type { OpenedFile } from '../content/opened.ts'
import { bufferOpener } from '../content/streams.ts'
import { AppError, isAppError } from '../lib/errors.ts'
import { decode } from '../zarf/definition/decode.ts'
import { loadYaml } from '../zarf/definition/yaml.ts'
import { type ArtifactBlob, artifactInvalid, blobSource, type OpenedArtifact } from './artifact.ts'
import { readChartArchive, readWhole } from './chart-archive.ts'
import { CHART, CHART_TEXTS, type Chart, chartAnnotations, chartConfig, sanitized } from './chart-metadata.ts'
import { packManifest } from './pack.ts'

/** Source: helm v3.22 pkg/registry/constants.go. */
export const HELM_CONFIG = 'application/vnd.cncf.helm.config.v1+json'
const HELM_CHART = 'application/vnd.cncf.helm.chart.content.v1.tar+gzip'
export const HELM_PROVENANCE = 'application/vnd.cncf.helm.chart.provenance.v1.prov'
const MAX_PROVENANCE_BYTES = 1024 * 1024

/** As Masterminds/semver's NewVersion takes it, which helm asks. */
const VERSION = /^v?[0-9]+(?:\.[0-9]+){0,2}(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?$/
const NAME = /^[a-z0-9][a-z0-9._-]*$/

export interface ChartSource {
  /** Its archive; its name is held against what it says itself. */
  readonly file: OpenedFile
  /** The signature that helm package --sign puts beside it. */
  readonly provenance?: OpenedFile | undefined
  /** When it was made, as RFC 3339. */
  readonly created?: string | undefined
  /** Of the manifest, beside those that the chart gives itself. */
  readonly annotations?: Readonly<Record<string, string>> | undefined
}

/**
 * A Helm chart with the manifest that `helm push` gives it: its name is the repository's, its version the tag. Takes the files
 * over. Throws ARTIFACT_INVALID for what is no chart, or not the one that its file name says; what reading throws.
 */
export async function openChart(source: ChartSource, signal: AbortSignal): Promise<OpenedArtifact> {
  const { file, provenance } = source
  try {
    const { bytes, chart: text, requirements } = await readChartArchive(file, signal)
    const chart = readChart(text, requirements, file.name)
    const { name, version } = checked(chart, file.name)
    const prov = provenance && (await readWhole(provenance, MAX_PROVENANCE_BYTES, signal))
    const config = blob(HELM_CONFIG, chartConfig(chart))
    const layers = [blob(HELM_CHART, bytes), ...(prov ? [blob(HELM_PROVENANCE, prov)] : [])].toSorted(byDigest)
    const annotations = { ...chartAnnotations(chart, source.created), ...source.annotations }
    return {
      ...blobSource([...layers, config]),
      where: file.name,
      name,
      tag: chartTag(version),
      blobs: distinct([...layers, config].map(({ descriptor }) => descriptor)),
      layers: layers.length,
      manifests: (subject) => [
        packManifest({
          untyped: true,
          config: config.descriptor,
          layers: layers.map(({ descriptor }) => descriptor),
          subject,
          annotations,
        }),
      ],
      [Symbol.asyncDispose]: () => closeAll(source),
    }
  } catch (error) {
    await closeAll(source)
    throw error
  }
}

/** Source: helm v3.22 pkg/chartutil/save.go. */
export function chartFileName({ name, version }: { name: string; version: string }): string {
  return `${name}-${version}.tgz`
}

/** A tag has no plus. Source: helm v3.22 pkg/registry/reference.go. */
export function chartTag(version: string): string {
  return version.replaceAll('+', '_')
}

async function closeAll({ file, provenance }: ChartSource): Promise<void> {
  await file[Symbol.asyncDispose]()
  await provenance?.[Symbol.asyncDispose]()
}

function blob(mediaType: string, bytes: Buffer): ArtifactBlob {
  const descriptor: Descriptor = { mediaType, digest: digestOf(bytes), size: bytes.length }
  return { descriptor, open: bufferOpener(bytes) }
}

function byDigest(a: ArtifactBlob, b: ArtifactBlob): number {
  return a.descriptor.digest < b.descriptor.digest ? -1 : 1
}

/** As helm reads it: what requirements.yaml says comes over what Chart.yaml says. */
function readChart(text: Buffer, requirements: Buffer | undefined, fileName: string): Chart {
  const read = (bytes: Buffer, path: string): Chart => {
    try {
      const [document = new Map<string, unknown>()] = loadYaml(bytes.toString('utf8'), { path, maker: 'helm' })
      checkTexts(document, path)
      return decode(CHART, document, { path, maker: 'helm' }) ?? {}
    } catch (error) {
      if (isAppError(error) && error.code === 'ARTIFACT_INVALID') throw error
      const why = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)
      throw new AppError('ARTIFACT_INVALID', `${fileName} is no chart: ${why.slice(0, 300)}`, {
        cause: error,
        hint: HINT,
      })
    }
  }
  const chart = { ...read(text, 'Chart.yaml'), ...(requirements ? read(requirements, 'requirements.yaml') : {}) }
  return sanitized({ ...chart, apiVersion: chart.apiVersion || 'v1' })
}

const HINT = 'A chart is the .tgz that helm package makes; helm lint tells what is wrong with one.'

function checkTexts(document: unknown, path: string): void {
  if (!(document instanceof Map)) return
  const wrong = CHART_TEXTS.find((name) => !['string', 'undefined'].includes(typeof (document.get(name) ?? undefined)))
  if (wrong !== undefined)
    throw artifactInvalid(`"${wrong}" in ${path} is no text`, 'Put it in quotes, as helm wants it.')
}

/** Throws ARTIFACT_INVALID for a name or a version that cannot be, or is not that of its file. */
function checked({ name = '', version = '', type = '' }: Chart, fileName: string): { name: string; version: string } {
  const wrong = wrongName(name) ?? wrongVersion(version) ?? wrongType(type)
  if (wrong !== undefined) throw artifactInvalid(`${fileName} is no chart: ${wrong}`, HINT)
  // Who calls it by no version does not lie about one.
  const isNamed = /-v?[0-9]+\.[0-9]/.test(fileName)
  if (!isNamed || fileName === chartFileName({ name, version })) return { name, version }
  throw artifactInvalid(
    `${fileName} says that it is another chart: it is ${name} ${version}`,
    `Call the file ${chartFileName({ name, version })} if it is the one that is meant.`,
    { name, version },
  )
}

function wrongName(name: string): string | undefined {
  return NAME.test(name) ? undefined : `its name "${name.slice(0, 100)}" cannot be that of a repository`
}

function wrongVersion(version: string): string | undefined {
  return version.length <= 128 && VERSION.test(version) ? undefined : `its version "${version.slice(0, 100)}" is none`
}

function wrongType(type: string): string | undefined {
  return ['', 'application', 'library'].includes(type) ? undefined : `its type "${type.slice(0, 100)}" is none`
}
