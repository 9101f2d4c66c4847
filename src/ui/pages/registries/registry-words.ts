import type { Queue, Registry, Stats } from '../../api/types.ts'
import { formatBytes, formatSpeed } from '../../format/bytes.ts'

const KINDS: Readonly<Record<string, string>> = {
  basic: 'user and password',
  identity: 'identity token',
  registry: 'registry token',
  aws: 'keys of AWS',
  google: 'key of Google Cloud',
  azure: 'keys of Azure',
}

/** What is kept and learnt of it: a name and a text each. Of secrets it tells which kind there is. */
export function factsOf({
  credentials,
  plainHttp,
  proxy,
  mirror,
  ca,
  profile,
}: Registry): [name: string, text: string][] {
  const facts: [string, string | null][] = [
    [
      'Kind',
      [profile.kind ?? (profile.name === 'unknown' ? null : profile.name), profile.version].filter(Boolean).join(' ') ||
        null,
    ],
    ['Credentials', credentialsText(credentials)],
    ['Over', plainHttp ? 'plain HTTP, where it speaks no TLS' : null],
    ['By way of', proxy],
    ['Mirror', mirror],
    ['Believed', ca === null ? null : ca.map(({ subject }) => subject).join('; ')],
  ]
  return facts.filter((fact): fact is [string, string] => fact[1] !== null && fact[1] !== '')
}

function credentialsText(credentials: Registry['credentials']): string {
  if (credentials === null) return 'none'
  const kind = KINDS[credentials.kind] ?? credentials.kind
  return credentials.username === null ? kind : `${kind} of ${credentials.username}`
}

/** What is asked of it at most; null: as much as it takes. */
export function limitsText(registry: Registry | undefined, queue: Queue | undefined): string | null {
  const parts = [...queueLimits(queue), ...keptLimits(registry?.limits ?? null, queue !== undefined)]
  return parts.length === 0 ? null : parts.join(', ')
}

/** In force now, from wherever. */
function queueLimits(queue: Queue | undefined): string[] {
  if (queue === undefined) return []
  const { jobs, requestsPerSecond: requests } = queue.limits
  const rate =
    requests &&
    `${requests.value} requests a second${requests.from === 'learnt' ? ' (it was seen to refuse more)' : ''}`
  return [`${jobs.value} jobs at once`, ...(rate ? [rate] : [])]
}

/** As they are kept; those of a queue are told by it. */
function keptLimits(limits: Registry['limits'], queueTells: boolean): string[] {
  const told: [limit: number | null | undefined, text: (limit: number) => string][] = [
    [queueTells ? null : limits?.jobs, (limit) => `${limit} jobs at once`],
    [queueTells ? null : limits?.requestsPerSecond, (limit) => `${limit} requests a second`],
    [limits?.concurrency, (limit) => `${limit} blobs at once`],
    [limits?.bytesPerSecond, formatSpeed],
  ]
  return told.flatMap(([limit, text]) => (limit === null || limit === undefined ? [] : [text(limit)]))
}

export function queueText({ jobs, pause }: Queue): string {
  const counts = Object.entries(jobs).filter(([, count]) => count > 0)
  const said =
    counts.length === 0 ? 'nothing waits or runs' : counts.map(([state, count]) => `${count} ${state}`).join(', ')
  return pause === null ? said : `paused by ${pause.by}: ${said}`
}

/** What its jobs did in some time. */
export type Lately = Stats['totals']

/** `12 jobs, 2 of them failed; 1.2 GiB sent, 30.0 MiB received`. */
export function latelyText({ jobsBegun, jobsFailed, wireBytesSent, wireBytesReceived }: Lately): string {
  const failed = jobsFailed > 0 ? `, ${jobsFailed} of them failed` : ''
  const moved = `${formatBytes(wireBytesSent)} sent, ${formatBytes(wireBytesReceived)} received`
  return `${jobsBegun} ${jobsBegun === 1 ? 'job' : 'jobs'}${failed}; ${moved}`
}
