import { connect, type Socket } from 'node:net'
import { type Delays, delaysOf, EVENT, record } from './delays.ts'

/**
 * Watchers over raw sockets, in a process of their own. Of each event the delay is told from when it was written: the id of an entry and the
 * time of a tick are of the same machine's clock. Every so many watchers read the figures as well, to say how old they are.
 */
export interface WatcherOrders {
  readonly port: number
  readonly paths: readonly string[]
}

export interface WatcherReport {
  readonly delays: Delays
  readonly bytes: number
  readonly open: number
  readonly cpuSeconds: number
}

/** As many connections are under way at once. */
const LANES = 64
/** One in so many reads the rows of progress. */
const READERS = 50
/** Figures say when they were written (helpers/streams/fleet-jobs.ts). */
const WRITTEN = /"bytesDone":(\d+)/g

let delays = delaysOf()
let bytes = 0
let open = 0

function watch({ port, path, reader }: { port: number; path: string; reader: boolean }): Promise<void> {
  return new Promise((resolve, reject) => {
    let carry = ''
    let whole = ''
    const socket: Socket = connect({
      host: '127.0.0.1',
      port,
      onread: {
        buffer: shared,
        callback: (count: number, buffer: Uint8Array) => {
          bytes += count
          const text = carry + (buffer as Buffer).toString('latin1', 0, count)
          carry = record(text, delays)
          if (reader) whole = readRows(whole + (buffer as Buffer).toString('latin1', 0, count))
          if (EVENT.test(text)) resolve()
          return true
        },
      },
    })
    socket.once('connect', () => {
      open += 1
      socket.write(`GET ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: text/event-stream\r\n\r\n`)
    })
    socket.once('close', () => {
      open -= 1
      reject(new Error(`a stream of ${path} ended: ${carry.slice(0, 400)}`))
    })
    socket.on('error', () => {})
  })
}

const shared = Buffer.alloc(256 * 1024)

/** Whole events alone; what is left is of the next one. */
function readRows(text: string): string {
  const end = text.lastIndexOf('\n\n')
  if (end === -1) return text
  const now = Date.now()
  for (const event of text.slice(0, end).split('\n\n')) {
    if (!event.includes('event: progress\n') || !event.includes('"moved":')) continue
    for (const [, done] of event.matchAll(WRITTEN)) delays.figures.push(now - Number(done))
  }
  return text.slice(end + 2)
}

process.on('message', (order: WatcherOrders | 'reset' | 'report') => {
  if (order === 'reset') {
    delays = delaysOf()
    bytes = 0
    return
  }
  if (order === 'report') {
    const { user, system } = process.cpuUsage()
    const report: WatcherReport = { delays, bytes, open, cpuSeconds: (user + system) / 1e6 }
    process.send?.(report)
    return
  }
  void openAll(order).then(
    () => process.send?.('open'),
    (error: unknown) => process.send?.(String(error)),
  )
})

async function openAll({ port, paths }: WatcherOrders): Promise<void> {
  const left = [...paths.entries()]
  const lane = async () => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      await watch({ port, path: next[1], reader: next[0] % READERS === 0 })
    }
  }
  await Promise.all(Array.from({ length: LANES }, lane))
}
