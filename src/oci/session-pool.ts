import type { RepositoryContext } from './repository-context.ts'
import { type CallOptions, cancelSession, openSession } from './upload-requests.ts'

/** Upload sessions of one repository that are open and nobody's yet, and those being given up. */
export interface SessionPool {
  /** Keeps one open session ready; opening it proves the right to push. */
  prepare(options: CallOptions): Promise<void>
  /** A session to use: a ready one, else a new one. */
  take(options: CallOptions): Promise<URL>
  /** Hands over a session that came as a by-product (a refused mount) for the next push. */
  keep(location: URL): void
  /** Starts to cancel a session; nobody waits. */
  giveUp(location: URL): void
  /** Gives up what is ready and waits for all cancels. Never throws. */
  release(): Promise<void>
}

/** A refused mount leaves a session each; more than a few are not going to be used. */
const MAX_READY = 8

export function createSessionPool(context: RepositoryContext): SessionPool {
  const ready: URL[] = []
  const leaving = new Set<Promise<void>>()

  const giveUp = (location: URL): void => {
    const cancel = cancelSession(context, location).finally(() => leaving.delete(cancel))
    leaving.add(cancel)
  }
  return {
    async prepare(options) {
      if (ready.length === 0) ready.push(await openSession(context, options))
    },
    take: async (options) => ready.pop() ?? (await openSession(context, options)),
    keep(location) {
      if (ready.length < MAX_READY) ready.push(location)
      else giveUp(location)
    },
    giveUp,
    async release() {
      for (const location of ready.splice(0)) giveUp(location)
      await Promise.all(leaving)
    },
  }
}
