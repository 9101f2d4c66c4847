import type { Job, Transfer } from '../client/contract.ts'
import { formatAge, formatBytes, formatDuration, formatTable } from './format.ts'
import { packageOf } from './job-table.ts'
import { problemText, progressText, transferNote } from './texts.ts'

const MORE = [
  ['runs', 'when and where it ran'],
  ['logs', 'the rest'],
] as const

/** All that a job tells, for people: what, where, since when, how far, why not, and what to do about it. */
export function jobPage(job: Job, transfers: readonly Transfer[], now: number): string {
  const rows: ReadonlyArray<readonly [string, string]> = [
    ['job', job.id],
    ['what', `${job.kind} ${packageOf(job)}${job.package ? `, ${job.package.architecture}` : ''}`],
    ['state', `${job.state}${job.reason === null ? '' : `: ${job.reason}`}`],
    ['from', job.source],
    ['to', job.destination ?? 'store:'],
    ...optionRows(job),
    ['asked by', `${job.principal} (request ${job.requestId})`],
    ['tries', String(job.attempt)],
    ...timeRows(job, now),
    ...progressRows(job),
    ...(job.result ? [['result', resultOf(job.result)] as const] : []),
  ]
  const layers = transfers.map((transfer) => `  ${transferNote(transfer)}${errorOf(transfer)}\n`).join('')
  const error = job.error ? `\n${problemText(job.error)}\n` : ''
  return `${formatTable(rows)}${layers === '' ? '' : `\nlayers\n${layers}`}${error}\n${MORE.map(([verb, what]) => `layerd ${verb} ${job.id} tells ${what}\n`).join('')}`
}

function resultOf({ plan, reference, digest }: NonNullable<Job['result']>): string {
  return plan ? `a dry run, nothing was written: ${formatBytes(plan.bytesToMove)} to move` : `${reference} ${digest}`
}

function optionRows({ options, labels }: Job): Array<readonly [string, string]> {
  const given = Object.entries(options).map(([name, value]) => `${name}=${JSON.stringify(value)}`)
  const labelled = Object.entries(labels).map(([key, value]) => `${key}=${value}`)
  return [
    ...(given.length === 0 ? [] : [['options', given.join(' ')] as const]),
    ...(labelled.length === 0 ? [] : [['labels', labelled.join(' ')] as const]),
  ]
}

function timeRows({ createdAt, startedAt, endedAt }: Job, now: number): Array<readonly [string, string]> {
  const ago = (time: string) => `${time} (${formatAge(now - Date.parse(time))} ago)`
  const took = startedAt !== null && endedAt !== null ? Date.parse(endedAt) - Date.parse(startedAt) : undefined
  return [
    ['created', ago(createdAt)],
    ...(startedAt === null ? [] : [['began', ago(startedAt)] as const]),
    ...(endedAt === null
      ? []
      : [['ended', `${ago(endedAt)}${took === undefined ? '' : `, after ${formatDuration(took)}`}`] as const]),
  ]
}

function progressRows({ progress, kind, done }: Job): Array<readonly [string, string]> {
  const { bytesSkipped, bytesMounted, bytesResumed, bytesSent, layers } = progress
  const split = [
    ['sent', bytesSent],
    ['resumed', bytesResumed],
    ['there already', bytesSkipped],
    ['mounted', bytesMounted],
  ] as const
  const parts = split.filter(([, bytes]) => bytes > 0).map(([word, bytes]) => `${formatBytes(bytes)} ${word}`)
  return [
    ...(done ? [] : [['progress', progressText(progress, kind)] as const]),
    ['layers', `${layers.done} of ${layers.total ?? '?'}${layers.failed > 0 ? `, ${layers.failed} failed` : ''}`],
    ...(parts.length === 0 ? [] : [['bytes', parts.join(', ')] as const]),
  ]
}

function errorOf({ error }: Transfer): string {
  return error === null ? '' : `: ${error.detail} (${error.code})`
}
