import type { SharedPlaces } from '../../../content/limits/registry-limits.ts'
import { childController } from '../../../lib/abort.ts'
import type { Clock } from '../../../lib/clock.ts'
import { bodiesAtOnce } from './wait-cause.ts'
import type { Waiting } from './waiting-line.ts'

/** Places are asked for again after this, be it to keep them, as long as any are used or wanted. */
const LOOK_MS = 1000
/** A body that rests for so long gives its place back: at once where somebody of this process waits, else when it is looked next. */
const REST_MS = 100

export interface BodyPlacesOptions {
  clock: Clock
  closed: AbortSignal
  /** Bodies at once; undefined: no limit now. */
  limit: () => number | undefined
  /** Asks how many of all processes' places are this one's; undefined: nobody can be asked. */
  ask: (limit: number, bodies: { used: number; wanted: number }) => Promise<SharedPlaces | undefined>
}

/** How many bodies are under way at once. */
export interface BodyPlaces {
  /** Resolves once a body may begin. Rejects with the signal's reason. */
  take(waiting: Waiting): Promise<BodyPlace>
  /** Another process has given back a place. */
  freed(): void
}

/**
 * A body's place. One that rests for a while gives it back until it goes on: a copy holds two, and copies that each held one
 * while they waited for the other would wait for each other.
 */
export interface BodyPlace {
  /** It waits for who brings its bytes, or who takes them, and that is not the registry. */
  rest(): void
  /** It goes on, at once (undefined) or when it has a place again. Rejects as `take` does. */
  go(): Promise<void> | undefined
  /** It is over. */
  end(): void
}

export function createBodyPlaces(options: BodyPlacesOptions): BodyPlaces {
  const { clock, closed, limit } = options
  const room = createRoom(options)

  const enter = async ({ signal, onWait }: Waiting): Promise<void> => {
    const most = limit()
    if (most === undefined) return room.enter()
    using either = childController(signal, closed)
    const place = room.join()
    const cause = bodiesAtOnce(most)
    let told = false
    try {
      // Whose end nobody knows is told of until it is looked at next.
      while (!(await Promise.race([place.begun, clock.sleep(LOOK_MS, either.signal)]))) {
        told = true
        onWait?.(clock.now() + LOOK_MS, cause)
      }
    } catch (error) {
      place.leave()
      throw error
    } finally {
      either.abort()
      if (told) onWait?.(undefined, cause)
    }
  }
  return {
    async take(waiting) {
      await enter(waiting)
      let state: 'moving' | 'resting' | 'out' | 'over' = 'moving'
      const giveUp = (): void => void (state = 'out')
      const back = (): void => {
        if (state === 'over') room.leave()
        else state = 'moving'
      }
      return {
        rest() {
          if (state !== 'moving') return
          state = 'resting'
          room.rests(giveUp)
        },
        go() {
          if (state === 'resting') room.goesOn(giveUp)
          if (state === 'out') return enter(waiting).then(back)
          if (state === 'resting') state = 'moving'
          return undefined
        },
        end() {
          if (state === 'resting') room.goesOn(giveUp)
          if (state === 'moving' || state === 'resting') room.leave()
          state = 'over'
        },
      }
    },
    freed: () => room.look(),
  }
}

/** This process's places, and who waits for one. */
function createRoom({ clock, closed, limit, ask }: BodyPlacesOptions) {
  const line: Array<(begun: true) => void> = []
  const resting = new Map<() => void, number>()
  let used = 0
  let held = 0
  /** Of this process, as it last was; where nobody can be asked it has no more. */
  let fair = Infinity

  const fill = async (): Promise<void> => {
    const most = limit()
    if (most === undefined) held = Infinity
    else {
      used -= endRests(resting, clock.now() - REST_MS)
      const shared = await ask(most, { used, wanted: used + line.length })
      fair = shared?.fair ?? fair
      held = shared?.held ?? Math.max(used, Math.min(most, fair))
    }
    for (let [begin] = line; begin && used < held; [begin] = line) {
      line.shift()
      used += 1
      begin(true)
    }
  }
  const sync = repeated(fill, () => {
    lookLater()
    lookSoon()
  })
  const looks = { clock, closed, look: () => sync() }
  const isLimited = (): boolean => limit() !== undefined
  const lookLater = lookIn(LOOK_MS, () => isLimited() && used + line.length > 0, looks)
  const lookSoon = lookIn(REST_MS, () => isLimited() && resting.size > 0 && line.length > 0, looks)
  const leave = (): void => {
    used -= 1
    sync()
  }
  return {
    enter: () => void (used += 1),
    leave,
    join() {
      const { promise: begun, resolve } = Promise.withResolvers<true>()
      line.push(resolve)
      sync()
      lookSoon()
      return {
        begun,
        leave() {
          const at = line.indexOf(resolve)
          if (at === -1) leave()
          else line.splice(at, 1)
          sync()
        },
      }
    },
    rests(giveUp: () => void) {
      resting.set(giveUp, clock.now())
      lookSoon()
    },
    goesOn: (giveUp: () => void) => void resting.delete(giveUp),
    look: () => void (line.length > 0 && sync()),
  }
}

/** Looks after so long, where that is needed now; once at a time. */
function lookIn(
  ms: number,
  needed: () => boolean,
  { clock, closed, look }: Pick<BodyPlacesOptions, 'clock' | 'closed'> & { look: () => void },
): () => void {
  let sleeping = false
  const sleep = async (): Promise<void> => {
    sleeping = true
    try {
      await clock.sleep(ms, closed)
      sleeping = false
      look()
    } catch {
      // The end of all connections.
    }
  }
  return () => {
    if (!sleeping && needed()) void sleep()
  }
}

/** Takes the places of those that rest since `before` or longer. How many. */
function endRests(resting: Map<() => void, number>, before: number): number {
  const long = [...resting].filter(([, since]) => since <= before)
  for (const [giveUp] of long) {
    resting.delete(giveUp)
    giveUp()
  }
  return long.length
}

/** Does it as often as it was asked for, one at a time: what comes meanwhile is done together, after it. Then `after`. */
function repeated(task: () => Promise<void>, after: () => void): () => void {
  let asked = false
  let running = false
  const run = async (): Promise<void> => {
    running = true
    while (asked) {
      asked = false
      await task()
    }
    running = false
    after()
  }
  return () => {
    asked = true
    if (!running) void run()
  }
}
