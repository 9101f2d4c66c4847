import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import { isNotServing } from './redis.ts'
import { PLAIN_REASONS } from '../model/plain-reasons.ts'
import { TRANSITIONS } from '../model/state.ts'

const JOB_SCRIPTS = [
  'create',
  'begin',
  'report',
  'finish',
  'cancel',
  'pause',
  'resume',
  'retry',
  'remove',
  'reap',
  'clear-upload',
  'note-sessions',
  'tidied',
  'once',
] as const
/** In front of each of them, in this order. */
const SHARED = [
  'jobs/record',
  'jobs/stats',
  'jobs/fleet',
  'jobs/admission',
  'system/queue-state',
  'jobs/runs',
  'jobs/moves',
]
const OTHER_SCRIPTS = [
  'renew-tag-lock',
  'release-tag-lock',
  'free-held',
  'save-upload',
  'claim-transfer',
  'hold-transfer',
  'end-transfer',
  'learn-places',
  'forget-place',
  'recount-open',
  'index-owners',
  'shed-trace',
  'replace-kept',
  'tokens',
  'add-link',
  'system/settle-queues',
  'system/replace-registry',
  'catalogue/end-look',
] as const
const LIST_SCRIPTS = ['look-queues', 'limits', 'rate'] as const
const WORD_SCRIPTS = [
  'sessions',
  'upload-lock',
  'system/queues',
  'system/pause-queue',
  'system/workers',
  'system/store-check',
] as const

type JobScript = (typeof JOB_SCRIPTS)[number]
type OtherScript = (typeof OTHER_SCRIPTS)[number]
type ListScript = (typeof LIST_SCRIPTS)[number]
type WordScript = (typeof WORD_SCRIPTS)[number]

/**
 * Runs scripts/ on one connection, by EVALSHA; a server that lost them gets them again. On a worker's connection a call
 * waits for a Redis that is there but cannot serve (out of memory or disk, failing over), as it does for one that is gone.
 */
export interface Scripts {
  /** Answers the script's words: the first says what happened. */
  job(script: JobScript, target: JobTarget, args: ReadonlyArray<string | number>): Promise<[string, ...string[]]>
  other(script: OtherScript, key: string, args: ReadonlyArray<string | number>): Promise<number>
  numbers(script: ListScript, key: string, args: ReadonlyArray<string | number>): Promise<number[]>
  words(script: WordScript, key: string, args: ReadonlyArray<string | number>): Promise<string[]>
}

export interface JobTarget {
  id: string
  /** The record's key. */
  key: string
  /** Prefix of all keys. */
  prefix: string
  /** Milliseconds since the epoch. */
  now: number
}

const NOT_SERVING_PAUSE_MS = 500

type Command = (...args: Array<string | number>) => Promise<unknown>

export function createScripts(redis: Redis): Scripts {
  for (const [name, lua] of sources()) redis.defineCommand(name, { numberOfKeys: 1, lua })
  const commands = redis as unknown as Record<string, Command>
  // How connectRedis makes a worker's.
  const waits = redis.options.maxRetriesPerRequest === null
  const run = async (name: string, key: string, args: ReadonlyArray<string | number>): Promise<unknown> => {
    const command = commands[commandName(name)] as Command
    for (;;) {
      try {
        return await command.call(redis, key, ...args)
      } catch (error) {
        if (!waits || !isNotServing(error)) throw error
        await delay(NOT_SERVING_PAUSE_MS)
      }
    }
  }
  return {
    job: async (script, target, args) => {
      const time = new Date(target.now).toISOString()
      const common = [target.prefix, target.id, time, target.now]
      return (await run(script, target.key, [...common, ...args])) as [string, ...string[]]
    },
    other: async (script, key, args) => (await run(script, key, args)) as number,
    numbers: async (script, key, args) => (await run(script, key, args)) as number[],
    words: async (script, key, args) => (await run(script, key, args)) as string[],
  }
}

let loaded: ReadonlyMap<string, string> | undefined

/** Read once a process; the files lie in a folder beside this one, in src and in dist. */
function sources(): ReadonlyMap<string, string> {
  loaded ??= new Map<string, string>([
    ...JOB_SCRIPTS.map(
      (name) =>
        [
          commandName(name),
          [transitionTable(), reasonTable(), ...SHARED.map(read), read(`jobs/${name}`)].join('\n'),
        ] as const,
    ),
    ...[...OTHER_SCRIPTS, ...LIST_SCRIPTS, ...WORD_SCRIPTS].map(
      (name) => [commandName(name), ABOUT_QUEUES.has(name) ? aboutQueues(name) : read(name)] as const,
    ),
    [commandName('system/replace-registry'), replaceRegistry()] as const,
  ])
  return loaded
}

/** Those whose first argument is the prefix of all keys. */
const ABOUT_QUEUES: ReadonlySet<string> = new Set(['system/queues', 'system/pause-queue', 'system/settle-queues'])

function aboutQueues(name: string): string {
  return ['local PREFIX = ARGV[1]', read('system/queue-state'), read(name)].join('\n')
}

function replaceRegistry(): string {
  const replace = ['local function replace()', read('replace-kept'), 'end']
  return ['local PREFIX = ARGV[6]', read('system/queue-state'), ...replace, read('system/replace-registry')].join('\n')
}

function read(name: string): string {
  return readFileSync(new URL(`./scripts/${name}.lua`, import.meta.url), 'utf8')
}

/** Own names, beside those that BullMQ defines on the same connection. */
function commandName(script: string): string {
  return `layerd:${script}`
}

/** state.ts as Lua, so that the scripts cannot know another machine. */
function transitionTable(): string {
  const states = Object.entries(TRANSITIONS).map(([state, moves]) => {
    const pairs = Object.entries(moves).map(([transition, to]) => `['${transition}']='${to}'`)
    return `['${state}']={${pairs.join(',')}}`
  })
  return `local NEXT = {${states.join(',')}}`
}

function reasonTable(): string {
  const pairs = Object.entries(PLAIN_REASONS).map(([state, words]) => `['${state}']='${words}'`)
  return `local PLAIN_REASONS = {${pairs.join(',')}}`
}
