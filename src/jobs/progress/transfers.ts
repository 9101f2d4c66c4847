import type { Redis } from 'ioredis'
import { TRANSFER_STATES, type Transfer } from '../model/definitions.ts'
import type { Keys } from '../redis/keys.ts'
import { formatToken, invalidToken } from '../record/listing.ts'
import type { Page, TransferFilter, TransferPage, TransferSort } from '../model/requests.ts'

/** Rows that are read and parsed at once: others get their turn in between. */
const CHUNK = 500

interface Placed {
  row: Transfer
  /** In the order in which the rows appeared. */
  at: number
}

/** A page of a job's rows, and how many rows there are of each state, whatever the filter. */
export async function listTransfers(
  redis: Redis,
  keys: Keys,
  id: string,
  { filter, page }: { filter: TransferFilter; page: Page },
): Promise<TransferPage> {
  const size = Math.min(200, Math.max(1, Math.trunc(page.size)))
  const { rows, counts } = await found(redis, keys, { id, filter })
  const order = ORDERS[filter.sort ?? 'added']
  const behind = page.token === undefined ? undefined : placeIn(page.token)
  const rest = rows.filter((row) => behind === undefined || order(behind, row) < 0)
  const shown = rest.slice(0, size)
  const last = shown.at(-1)
  return {
    items: shown.map(({ row }) => row),
    counts,
    ...(last === undefined || rest.length === shown.length ? {} : { nextPageToken: tokenOf(last) }),
  }
}

/** All rows of a job that match, in the wanted order: at most as many as a manifest of 4 MiB has layers, 14,000. */
export async function matchingTransfers(
  redis: Redis,
  keys: Keys,
  id: string,
  filter: TransferFilter,
): Promise<Transfer[]> {
  const { rows } = await found(redis, keys, { id, filter })
  return rows.map(({ row }) => row)
}

async function found(redis: Redis, keys: Keys, { id, filter }: { id: string; filter: TransferFilter }) {
  const counts: Record<string, number> = Object.fromEntries(TRANSFER_STATES.map((state) => [state, 0]))
  const rows: Placed[] = []
  for await (const row of eachTransfer(redis, keys, id)) {
    counts[row.row.state] = (counts[row.row.state] ?? 0) + 1
    if (matches(row.row, filter)) rows.push(row)
  }
  return { counts, rows: rows.toSorted(ORDERS[filter.sort ?? 'added']) }
}

export async function allTransfers(redis: Redis, keys: Keys, id: string): Promise<Transfer[]> {
  return readTransfers(redis, keys, id, await redis.lrange(keys.transferOrder(id), 0, -1))
}

async function* eachTransfer(redis: Redis, keys: Keys, id: string): AsyncGenerator<Placed> {
  for (let start = 0; ; start += CHUNK) {
    const digests = await redis.lrange(keys.transferOrder(id), start, start + CHUNK - 1)
    const rows = await readTransfers(redis, keys, id, digests)
    for (const [at, row] of rows.entries()) yield { row, at: start + at }
    if (digests.length < CHUNK) return
  }
}

async function readTransfers(redis: Redis, keys: Keys, id: string, digests: readonly string[]): Promise<Transfer[]> {
  if (digests.length === 0) return []
  const rows = await redis.hmget(keys.transfers(id), ...digests)
  return rows.filter((row) => row !== null).map((row) => JSON.parse(row) as Transfer)
}

function matches({ state, title, digest }: Transfer, { states, q }: TransferFilter): boolean {
  if (states !== undefined && states.length > 0 && !states.includes(state)) return false
  return q === undefined || [title, digest].some((text) => text.toLowerCase().includes(q.toLowerCase()))
}

type Compare = (a: Placed, b: Placed) => number

const bySize: Compare = (a, b) => a.row.size - b.row.size || a.at - b.at
const byTitle: Compare = (a, b) => compareText(a.row.title, b.row.title) || a.at - b.at

const ORDERS: Readonly<Record<TransferSort, Compare>> = {
  added: (a, b) => a.at - b.at,
  size: bySize,
  '-size': (a, b) => bySize(b, a),
  title: byTitle,
  '-title': (a, b) => byTitle(b, a),
}

function compareText(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1
}

/** What any order needs of the last row shown; states change, these do not. */
function tokenOf({ at, row: { size, title } }: Placed): string {
  return formatToken(JSON.stringify([at, size, title]))
}

function placeIn(token: string): Placed {
  try {
    const [at, size, title] = JSON.parse(Buffer.from(token, 'base64url').toString()) as unknown[]
    if (Number.isSafeInteger(at) && Number.isSafeInteger(size) && typeof title === 'string') {
      return { at: at as number, row: { size: size as number, title } as Transfer }
    }
  } catch {
    // Not even JSON.
  }
  throw invalidToken()
}
