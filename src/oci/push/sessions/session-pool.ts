import type { UploadKey, UploadSessionStore } from '../../../content/checkpoint.ts'
import { noted, type OpenedSession, type RepositoryContext } from '../../request/repository-context.ts'
import type { CallOptions } from '../../request/transport.ts'
import { cancelSession, openSession } from './upload-requests.ts'

/** Upload sessions of one repository that are open and nobody's yet, and those being given up. */
export interface SessionPool {
  /** Keeps one open session ready; opening it proves the right to push. */
  prepare(options: CallOptions): Promise<void>
  /** A session to use: a ready one, else a new one. */
  take(options: CallOptions): Promise<OpenedSession>
  /** Hands over a session that came as a by-product (a refused mount) for the next push. */
  keep(session: OpenedSession): void
  /**
   * Starts to cancel a session; nobody waits for that, only for the note that takes the place of what was `saved` of it:
   * a process that ends before the registry was told leaves word of it.
   */
  giveUp(session: OpenedSession, saved?: SavedPlace): Promise<void>
  /** Gives up what is ready, waits for all cancels and notes what they left. Never throws. */
  release(): Promise<void>
}

/** Where another process would find the session. */
export interface SavedPlace {
  readonly sessions: UploadSessionStore
  readonly key: UploadKey
}

/** A refused mount leaves a session each; more than a few are not going to be used. */
const MAX_READY = 8

export function createSessionPool(context: RepositoryContext): SessionPool {
  const ready: OpenedSession[] = []
  const leaving = new Set<Promise<void>>()

  const open = async (options: CallOptions): Promise<OpenedSession> =>
    noted(context, await openSession(context, options))
  const cancel = async ({ location, note }: OpenedSession): Promise<void> => {
    const outcome = await cancelSession(context, location)
    if (outcome === 'told') note?.closed()
    // Another run may have gone on with one that was saved.
    if (outcome !== 'unreachable') return
    if (note) note.left(location.href)
    else noted(context, location)
  }
  const start = (session: OpenedSession): void => {
    const canceled = cancel(session).finally(() => leaving.delete(canceled))
    leaving.add(canceled)
  }
  return {
    async prepare(options) {
      if (ready.length === 0) ready.push(await open(options))
    },
    take: async (options) => ready.pop() ?? (await open(options)),
    keep(session) {
      if (ready.length < MAX_READY) ready.push(session)
      else start(session)
    },
    async giveUp(given, saved) {
      const session = saved && !given.note ? noted(context, given.location) : given
      session.note?.moved(session.location.href)
      start(session)
      await saved?.sessions.clear(saved.key, session.note)
    },
    async release() {
      for (const session of ready.splice(0)) start(session)
      await Promise.all(leaving)
      await context.sessions?.settle()
    },
  }
}
