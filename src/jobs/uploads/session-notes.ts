import { randomUUID } from 'node:crypto'
import type { SessionNote, UploadPlace } from '../../content/checkpoint.ts'

/** What a note says. */
export interface NotedSession extends UploadPlace {
  readonly location: string
}

export interface NoteChanges {
  /** New, or with a new location. */
  readonly open: ReadonlyArray<{ id: string; session: NotedSession }>
  readonly closed: readonly string[]
}

/** The upload sessions that one run has open and that no saved upload covers, and which of them are written down. */
export interface SessionNotes {
  opened(place: UploadPlace, location: string): SessionNote
  /** `save` writes a saved upload, takes away the note with this id in the same step, and tells whether it did. */
  cover(note: SessionNote, save: (id: string | undefined) => Promise<boolean>): Promise<void>
  /** `clear` takes a saved upload away, writes the note of its session in the same step, and tells whether it did. */
  uncover(note: SessionNote, clear: (id: string, session: NotedSession) => Promise<boolean>): Promise<void>
  settle(): Promise<void>
}

/**
 * A session that is closed sooner than this to twice this is never written: most small blobs are through by then, and
 * packages have thousands of them.
 */
const ROUND_MS = 50

interface Entry extends SessionNote {
  readonly id: string
  session: NotedSession
}

/** `write` is called with one set of changes after the other and must not throw. */
export function createSessionNotes(write: (changes: NoteChanges) => Promise<void>): SessionNotes {
  const rounds = createRounds(write)
  const { written } = rounds

  const create = (session: NotedSession): Entry => {
    const entry: Entry = {
      id: randomUUID(),
      session,
      moved(location) {
        entry.session = { ...entry.session, location }
        if (written.has(entry)) rounds.add(entry)
      },
      left(location) {
        entry.session = { ...entry.session, location }
        rounds.add(entry)
      },
      closed() {
        rounds.withdraw(entry)
        if (written.delete(entry)) rounds.forget(entry)
      },
    }
    return entry
  }
  return {
    opened({ registry, repository }, location) {
      const entry = create({ registry, repository, location })
      rounds.add(entry)
      return entry
    },
    async cover(note, save) {
      const entry = note as Entry
      rounds.withdraw(entry)
      // A note that is on its way would come after the step that takes it away.
      if (written.has(entry)) await rounds.writing()
      if (await save(written.has(entry) ? entry.id : undefined)) written.delete(entry)
      else if (!written.has(entry)) rounds.add(entry)
    },
    async uncover(note, clear) {
      const entry = note as Entry
      rounds.withdraw(entry)
      // Before the answer: what is closed meanwhile is to be forgotten after this step.
      written.add(entry)
      if (!(await clear(entry.id, entry.session))) written.delete(entry)
    },
    settle: () => rounds.flush(),
  }
}

/** Writes together what has stood for a round, and what is to be forgotten. */
function createRounds(write: (changes: NoteChanges) => Promise<void>) {
  let fresh = new Set<Entry>()
  let due = new Set<Entry>()
  const written = new Set<Entry>()
  const closed = new Set<string>()
  let writing = Promise.resolve()
  let timer: NodeJS.Timeout | undefined

  const turn = (): void => {
    const changes = { open: [...due].map(({ id, session }) => ({ id, session })), closed: [...closed] }
    for (const entry of due) written.add(entry)
    due = fresh
    fresh = new Set()
    closed.clear()
    if (changes.open.length + changes.closed.length > 0) writing = writing.then(() => write(changes))
  }
  const arm = (): void => {
    timer ??= setTimeout(() => {
      timer = undefined
      turn()
      if (due.size > 0) arm()
    }, ROUND_MS)
  }
  return {
    /** In Redis, or on the way there. */
    written,
    writing: () => writing,
    add(entry: Entry) {
      fresh.add(entry)
      arm()
    },
    withdraw(entry: Entry) {
      fresh.delete(entry)
      due.delete(entry)
    },
    forget({ id }: Entry) {
      closed.add(id)
      arm()
    },
    async flush() {
      for (const entry of fresh) due.add(entry)
      fresh.clear()
      turn()
      await writing
    },
  }
}
