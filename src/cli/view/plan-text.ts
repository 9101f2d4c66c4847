import type { Job } from '../client/contract.ts'
import { formatBytes, formatTable } from './format.ts'
import { problemText } from './texts.ts'

type Plan = NonNullable<NonNullable<Job['result']>['plan']>

const MOVES: Readonly<Record<string, string>> = { publish: 'to send', pull: 'to fetch', copy: 'to copy' }

/** Whether nothing is known that would keep it from being done. */
export function isGood({ fits, problems }: Plan): boolean {
  return fits !== false && problems.length === 0
}

/** What a dry run found: a line each for what moves, may be mounted, and is there; then what would be in its way. */
export function planText({ kind, result }: Job, plan: Plan): string {
  const rows = [
    [MOVES[kind] ?? 'to move', plan.bytesToMove, plan.blobsToMove, ''],
    [
      'to mount',
      plan.bytesToMount,
      plan.blobsToMount,
      plan.mountFrom.length > 0 ? `from ${plan.mountFrom.join(', ')}` : '',
    ],
    ['there already', plan.bytesThere, plan.blobsThere, ''],
    ['in all', plan.bytes, plan.blobs, ''],
  ] as const
  const table = rows
    .filter(([word, , blobs]) => blobs > 0 || word === 'in all')
    .map(([word, bytes, blobs, note]) => [
      `  ${word}`,
      formatBytes(bytes),
      blobs === 1 ? '1 blob' : `${blobs} blobs`,
      note,
    ])
  const tags = result?.tags ? `\n  ${result.tags.length} tags to copy, ${result.tagsThere ?? 0} are there` : ''
  return [
    `would ${kind} ${result?.reference ?? ''}${tags}`,
    formatTable(table).trimEnd(),
    `  ${verdict(kind, plan)}`,
    ...plan.problems.map((problem) => problemText(problem)),
  ].join('\n')
}

function verdict(kind: string, plan: Plan): string {
  const { fits, problems } = plan
  if (fits === false) return kind === 'pull' ? 'there is no room for it' : 'no manifest may name so much'
  if (problems.length > 0)
    return `${problems.length === 1 ? 'a problem is' : `${problems.length} problems are`} in its way:`
  if (plan.blobsToMove + plan.blobsToMount === 0) return 'all of it is there'
  return 'nothing is known to be in its way'
}
