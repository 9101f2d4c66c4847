import type { Job, Progress, Signature, Transfer } from '../client/contract.ts'
import type { StreamedEvent } from '../client/api-client.ts'
import { visible } from '../../lib/text.ts'
import { formatBytes, formatDuration, formatTimeLeft } from './format.ts'

/** The sentence a job ends with. */
export function endText(job: Job): string {
  if (job.result && job.state === 'succeeded') return successText(job, job.result)
  if (job.state === 'failed' && job.error) return `${job.kind} failed: ${problemText(job.error)}`
  return `${job.kind} ${job.state}${job.reason ? `: ${job.reason}` : ''}`
}

function successText(job: Job, result: NonNullable<Job['result']>): string {
  const own = ownEnds[job.kind]
  if (own) return own(result, job.kind)
  if (result.removal) return removalHead(job, result.removal)
  if (result.plan) return `dry run of a ${job.kind} done: nothing was written`
  const { images } = result
  if (images) return mirroredText(job, { ...result, images })
  const form = result.manifest === undefined ? '' : `\n  published as an ${result.manifest} manifest`
  const signed = result.signed ? '\n  signed here: the digest is not that of what came' : ''
  const tags = result.tags ? `${result.tags.length} tags copied, ${result.tagsThere ?? 0} were there` : result.digest
  const of = result.packages ? `\n  the bundle of ${result.packages.map(({ name }) => visible(name)).join(', ')}` : ''
  return `${job.kind} succeeded: ${result.reference}${of}\n  ${tags}\n  ${result.layers} layers, ${movedText(job, result)}${form}${signed}`
}

function movedText({ progress }: Job, { bytes, durationMs }: NonNullable<Job['result']>): string {
  const saved = progress.bytesSkipped + progress.bytesMounted
  const kept = saved > 0 ? `, ${formatBytes(saved)} were there already` : ''
  return `${formatBytes(bytes)} in ${formatDuration(durationMs)}${kept}`
}

type MirrorResult = NonNullable<Job['result']> & Required<Pick<NonNullable<Job['result']>, 'images'>>

/** Of each image the one name that people use. */
function mirroredText(job: Job, result: MirrorResult): string {
  const { images, reference } = result
  const lines = images.map(({ references }) => `  ${references.at(-1) ?? ''}`)
  const count = `${images.length} ${images.length === 1 ? 'image' : 'images'}`
  return [`mirror succeeded: ${count} to ${reference}`, ...lines, `  ${movedText(job, result)}`].join('\n')
}

const ownEnds: Partial<Record<Job['kind'], (result: NonNullable<Job['result']>, kind: string) => string>> = {
  verify: verifiedText,
  deploy: deployedText,
  remove: deployedText,
}

type Removal = NonNullable<NonNullable<Job['result']>['removal']>

function removalHead({ kind, result }: Pick<Job, 'kind' | 'result'>, { dryRun, removed }: Removal): string {
  const what = removed.length === 0 ? 'nothing' : removed.length === 1 ? '1 thing' : `${removed.length} things`
  const where = result?.reference ?? ''
  return dryRun
    ? `dry run of a ${kind}: ${what} would go from ${where}`
    : `${kind} succeeded: ${what} went from ${where}`
}

function verifiedText({ reference, digest, signed, signatures = [], checksums }: NonNullable<Job['result']>): string {
  const { files = 0, hashed = 0 } = checksums ?? {}
  const read = hashed === files ? 'each read' : `${hashed} read, the others by the manifest's digests`
  const lines = signatures.map((signature) => `  ${signatureText(signature)}`)
  if (lines.length === 0)
    lines.push(signed ? '  it says that it is signed, and holds no signature' : '  it is not signed')
  return [`verify succeeded: ${reference}`, `  ${digest}`, `  checksums hold: ${files} files, ${read}`, ...lines].join(
    '\n',
  )
}

function deployedText(
  { reference, digest, components = [], durationMs }: NonNullable<Job['result']>,
  kind: string,
): string {
  const which =
    components.length === 0 ? 'no components' : `components ${components.map((name) => visible(name)).join(', ')}`
  return `${kind} succeeded: ${reference}\n  ${digest}\n  ${which} in ${formatDuration(durationMs)}`
}

/** Whose it is, and what is known of that. */
export function signatureText({ form, key, identity, verified, reason }: Signature): string {
  const by = identity
    ? `${identity.san ?? 'nobody'} by ${identity.issuer ?? 'nobody'}`
    : `key ${key?.fingerprint ?? 'unknown'}`
  const state = verified === true ? 'verified' : verified === false ? 'not valid' : 'not verified'
  return `${form} signature, ${by}: ${state}${reason === null ? '' : ` (${reason})`}`
}

/** What went wrong, where, and what to do: one block. */
export function problemText(problem: NonNullable<Job['error']>): string {
  const where = whereText(problem)
  const fields = (problem.errors ?? [])
    .filter(({ detail }) => detail !== problem.detail)
    .map((error) => `  ${error.pointer || '/'}: ${error.detail}`)
  return [
    `${problem.title} (${problem.code})`,
    `  ${problem.detail}`,
    ...fields,
    ...(where === '' ? [] : [`  at ${where}`]),
    ...(problem.hint ? [`  ${problem.hint}`] : []),
  ].join('\n')
}

/** The place, unless the sentence names all of it, and what was answered, unless it stands there too. */
function whereText({ detail, upstream }: NonNullable<Job['error']>): string {
  if (upstream === undefined) return ''
  const { registry, repository, reference, digest, status, ociCode } = upstream
  const isSaid = (part: string | number) => detail.includes(String(part))
  const place = [registry, repository, reference ?? digest].filter((part) => part !== undefined)
  const answer = [status, ociCode].filter((part) => part !== undefined && !isSaid(part))
  const words = place.every(isSaid) ? answer : [...place, ...answer]
  return words.map((word) => (word === status ? `HTTP ${word}` : word)).join(' ')
}

/** What an event has to say in words, apart from figures. */
export function noticeOf(event: StreamedEvent): string | undefined {
  switch (event.type) {
    case 'warning':
      return `warning ${event.code}: ${event.message}`
    case 'log':
      return event.level === 'debug' ? undefined : event.message
    case 'plan':
      // Of a dry run, whose own plan is to do nothing.
      if (event.progress.layers.total === 0) return undefined
      return `plan: ${event.progress.layers.total ?? '?'} layers, ${formatBytes(event.progress.bytesTotal ?? 0)}`
    case 'snapshot':
    case 'state':
      return waitOf(event.job)
    default:
      return undefined
  }
}

/** Why a job does not run, where that is no part of its usual way. */
function waitOf({ id, state, reason, error, progress }: Job): string | undefined {
  if (state === 'retrying') {
    return `retrying${progress.retryAt ? ` at ${progress.retryAt}` : ''}${error ? `: ${error.detail}` : ''}`
  }
  if (state === 'paused') return `${pausedText(reason)} (layerd resume ${id})`
  return undefined
}

function pausedText(reason: string | null): string {
  return reason === null || reason.startsWith('paused') ? (reason ?? 'paused') : `paused: ${reason}`
}

const VERBS: Readonly<Record<string, string>> = {
  publish: 'sending',
  pull: 'receiving',
  copy: 'copying',
  verify: 'reading',
  apply: 'applying',
  delete: 'deleting',
  retention: 'deleting',
}

/** What a job is at, in one line; `kind` as far as it is known. */
export function progressText(progress: Progress, kind: string | undefined): string {
  const size = sizeText(progress)
  const amount = size === undefined ? [] : [`${formatBytes(progress.bytesDone)} of ${size}`]
  return [stepText(progress, kind), ...amount, ...paceOf(progress)].join(' · ')
}

/** The same beside a bar, which shows how much is done of how much. */
export function barText(progress: Progress, kind: string | undefined): string {
  return [stepText(progress, kind), ...paceOf(progress)].join(' · ')
}

function paceOf({ bytesPerSecond, etaSeconds }: Progress): string[] {
  return [
    ...(bytesPerSecond ? [`${formatBytes(bytesPerSecond)}/s`] : []),
    ...(etaSeconds ? [formatTimeLeft(etaSeconds)] : []),
  ]
}

/** What all of it has; with ~ where it is estimated. */
export function sizeText({ bytesTotal, bytesTotalEstimate }: Progress): string | undefined {
  if (bytesTotal !== null) return formatBytes(bytesTotal)
  return bytesTotalEstimate === null ? undefined : `~${formatBytes(bytesTotalEstimate)}`
}

function stepText({ phase, reason, layers, bytesTotal, sourceBytes, sourceBytesRead }: Progress, kind = ''): string {
  if (reason !== null) return `waiting: ${reason}`
  if (phase === null) return 'waiting for a worker'
  if (phase === 'planning') {
    if (bytesTotal !== null || !sourceBytes || sourceBytesRead === 0) return phase
    return `reading the archive, ${Math.floor((100 * sourceBytesRead) / sourceBytes)} %`
  }
  if (phase === 'committing' && (kind === 'deploy' || kind === 'remove')) return `running the ${kind}`
  if (phase !== 'transferring') return phase
  return `${VERBS[kind] ?? 'moving'} ${layers.done} of ${layers.total ?? '?'} layers`
}

/** A layer's name beside its bar, and what it waits for. */
export function transferNote(transfer: Transfer): string {
  const wait = transfer.state === 'retrying' && transfer.retryAt ? ` (again at ${transfer.retryAt})` : ''
  return `${transfer.state === 'active' ? '' : `${transfer.state} `}${shortTitle(transfer.title)}${wait}`
}

/** Images' blobs are named by their digest, of which twelve digits tell them apart. */
function shortTitle(title: string): string {
  return title.replace(/\b([0-9a-f]{12})[0-9a-f]{52}\b/, '$1…')
}
