import type { KeptSession, SessionRecords } from '../../access/sessions.ts'
import { type Clock, systemClock } from '../../lib/clock.ts'
import { guarded } from '../redis/redis.ts'
import type { AccessConnection } from './connection.ts'

export interface SessionRecordsOptions {
  clock?: Clock
  /** Most sessions of one owner, and of all. Default 50 and 10,000. */
  most?: { ofOwner: number; ofAll: number }
}

/** Half a day: who comes to work the next morning logs in again. */
const IDLE_MS = 12 * 3_600_000
/** So often a use is written down: each write is synced to the disk. */
const WRITTEN_EACH_MS = 60_000
const MOST = { ofOwner: 50, ofAll: 10_000 }

/** Sessions of browsers in Redis. Calls throw QUEUE_UNAVAILABLE. */
export function createSessionRecords(
  { scripts, keys: { sessions }, onEnded }: AccessConnection,
  { clock = systemClock, most = MOST }: SessionRecordsOptions = {},
): SessionRecords {
  const ask = async (what: string, id: string, args: ReadonlyArray<string | number> = []) => {
    const common = [what, id, clock.now(), IDLE_MS]
    const [text] = await guarded(() => scripts.words('sessions', sessions, [...common, ...args]))
    return text === undefined ? undefined : (JSON.parse(text) as KeptSession)
  }
  return {
    async add(session) {
      const { id, owner, endsAt } = session
      await ask('add', id, [owner, JSON.stringify(session), endsAt, most.ofOwner, most.ofAll])
    },
    use: (id) => ask('use', id, [WRITTEN_EACH_MS]),
    look: (id) => ask('look', id),
    remove: async (id) => (await ask('remove', id)) !== undefined,
    onChange: (listener) => onEnded(sessions, listener),
  }
}
