import type { Redis } from 'ioredis'
import type { JobKind } from '../model/definitions.ts'
import type { Keys } from '../redis/keys.ts'
import { guarded } from '../redis/redis.ts'
import { createScripts, type Scripts } from '../redis/scripts.ts'

/** A worker that has given no sign for this long is lost: it takes no jobs and ends none. */
export const WORKER_SILENCE_MS = 15_000

/** What the calls work with. Times are those of Redis, ms since 1970. */
export interface WorkerKeeper {
  readonly keys: Pick<Keys, 'workers'>
  readonly scripts: Pick<Scripts, 'words'>
  /** Default WORKER_SILENCE_MS. Ten times as long, and nothing is kept of a lost one. */
  readonly silenceMs?: number
}

/** What a worker says of itself. */
export interface WorkerFacts {
  /** What people call it; its id is of this one process. */
  readonly name: string
  /** The machine. */
  readonly host: string
  readonly pid: number
  /** Of layerd. */
  readonly version: string
  /** ms since 1970, as `since` of its jobs. */
  readonly since: number
  /** Those that run there. */
  readonly jobs: ReadonlyArray<{ readonly id: string; readonly kind: JobKind; readonly since: number }>
  /** Jobs that it runs at once. */
  readonly places: number
  readonly memory: { readonly rssBytes: number; readonly heapBytes: number }
  /** Processors that it keeps busy, lately: 1 is all of one. */
  readonly cpu: number
  /** Bodies of registries' answers that came, and layers that went out, lately. */
  readonly bytesPerSecond: { readonly in: number; readonly out: number }
  /** It has been told to end. */
  readonly ending: boolean
}

/**
 * draining: it takes no more jobs, and some may run there still. drained: none runs there, and none will. lost: no sign of it
 * for 15 s, or its supervisor saw it die.
 */
export type WorkerState = 'running' | 'draining' | 'drained' | 'lost'

export interface KeptWorker extends Omit<WorkerFacts, 'ending'> {
  readonly id: string
  readonly state: WorkerState
  readonly drain: { readonly since: number; readonly handOver: boolean } | null
  readonly lastSeen: number
}

/** What a worker tells. */
export interface WorkerWord {
  /** Jobs that it takes at once. */
  readonly places: number
  /** Default: it only lives. */
  readonly facts?: WorkerFacts
  /** The drain that it obeys, as it was told; '' is none. */
  readonly obeyed?: string
  /** Nothing runs there, and nothing will while that holds. */
  readonly rests?: boolean
}

/** What it hears. */
export interface WorkerOrders {
  /** Of all workers that live and are not drained. */
  readonly places: number
  /** To be obeyed, and told as obeyed; '' is none. */
  readonly drain: string
  /** Redis' clock. */
  readonly now: number
}

/** Gives a sign, and hears whether it is drained. Where nothing is kept of it any more, its own drain stands. */
export async function tellOfWorker(keeper: WorkerKeeper, id: string, word: WorkerWord): Promise<WorkerOrders> {
  const { places, facts, obeyed = '', rests = false } = word
  const told = facts ? JSON.stringify(facts) : ''
  const [all, drain = '', now] = await ask(keeper, 'tell', [id, places, told, obeyed, rests ? 1 : 0])
  return { places: Number(all), drain, now: Number(now) }
}

/** Whether a drain hands over what runs. */
export function handsOver(drain: string): boolean {
  return drain.endsWith('|1')
}

/** Nothing is kept of it. */
export async function forgetWorker(keeper: WorkerKeeper, id: string): Promise<void> {
  await ask(keeper, 'leave', [id])
}

/** They have died, as their supervisor saw. What is kept of them is told for a while, as of lost ones. */
export async function loseWorkers(redis: Redis, keys: WorkerKeeper['keys'], ids: readonly string[]): Promise<void> {
  if (ids.length > 0) await ask({ keys, scripts: createScripts(redis) }, 'lose', ids)
}

/** All workers, lost ones among them, in one call; those with the newest signs where there are more than 5,000. */
export async function allWorkers(keeper: WorkerKeeper): Promise<KeptWorker[]> {
  return rowsOf(await ask(keeper, 'all', []))
}

/** Worker processes as they last told of themselves; lost ones for two and a half minutes. Calls throw QUEUE_UNAVAILABLE. */
export interface Workers {
  /** As allWorkers. */
  all(): Promise<KeptWorker[]>
  get(id: string): Promise<KeptWorker | undefined>
  /**
   * It takes no more jobs, from the moment that it hears of it; with `handOver` those that run there are queued again and go on
   * elsewhere. Undefined: there is none of that id. One that is drained already is answered as it is, and may be told to hand over.
   */
  drain(id: string, how: { handOver: boolean }): Promise<KeptWorker | undefined>
  /** It takes jobs again. Undefined: there is none of that id. */
  resume(id: string): Promise<KeptWorker | undefined>
}

export function createWorkers(keeper: WorkerKeeper): Workers {
  const one = async (what: string, args: ReadonlyArray<string | number>) =>
    rowsOf(await guarded(() => ask(keeper, what, args)))[0]
  return {
    all: () => guarded(() => allWorkers(keeper)),
    get: (id) => one('get', [id]),
    drain: (id, { handOver }) => one('drain', [id, handOver ? 1 : 0]),
    resume: (id) => one('resume', [id]),
  }
}

/** How many live, and how many jobs those that are not drained take at once. */
export async function countWorkers(keeper: WorkerKeeper): Promise<{ live: number; places: number }> {
  const [live, places] = await ask(keeper, 'count', [])
  return { live: Number(live), places: Number(places) }
}

export async function workerLives(keeper: WorkerKeeper, id: string): Promise<boolean> {
  return (await ask(keeper, 'lives', [id])).length > 0
}

function ask(keeper: WorkerKeeper, what: string, args: ReadonlyArray<string | number>): Promise<string[]> {
  const { keys, scripts, silenceMs = WORKER_SILENCE_MS } = keeper
  return scripts.words('system/workers', keys.workers, [what, silenceMs, ...args])
}

/** Words of one in workers.lua. */
const ROW = 6

function rowsOf(words: readonly string[]): KeptWorker[] {
  return Array.from({ length: words.length / ROW }, (_, at) => workerOf(words.slice(ROW * at, ROW * (at + 1))))
}

function workerOf([id = '', seen, lives, told = '', drain = '', rests]: readonly string[]): KeptWorker {
  const { ending, ...facts } = JSON.parse(told) as WorkerFacts
  const [since] = drain.split('|')
  return {
    id,
    ...facts,
    state: stateOf({ lives: lives === '1', drained: drain !== '', rests: rests === '1', ending }),
    drain: drain === '' ? null : { since: Math.floor(Number(since) / 1000), handOver: handsOver(drain) },
    lastSeen: Number(seen),
  }
}

function stateOf(is: { lives: boolean; drained: boolean; rests: boolean; ending: boolean }): WorkerState {
  if (!is.lives) return 'lost'
  if (is.rests) return 'drained'
  return is.drained || is.ending ? 'draining' : 'running'
}
