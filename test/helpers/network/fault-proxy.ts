import { type AddressInfo, createConnection, createServer, Socket } from 'node:net'
import { type Cleanup, defer } from '../cleanup.ts'
import { carryOver, type LinkOptions, write } from './fault-proxy-link.ts'

/** What the client sends goes up, what the target sends down. */
export type Direction = 'up' | 'down'

/**
 * What sets a fault off, counted from the call of `fail`; the first connection that gets there meets it.
 * connection: the k-th one that opens, before anything passes.
 * up, down: exactly so many bytes of one connection have passed.
 * call: the k-th question begins; nothing of it passes, or so many bytes. A question is what a client sends first, or
 * after an answer has begun: an HTTP request, or Redis commands that go out together.
 * answer: the k-th question has passed; nothing of its answer does, or so many bytes.
 * answerAfter: so many bytes or more of one connection have gone up; the next answer there does not pass.
 * answerTo: a question whose first bytes match has passed; nothing of its answer does.
 */
export type FaultPoint =
  | { connection: number }
  | { up: number }
  | { down: number }
  | { call: number; after?: number }
  | { answer: number; after?: number }
  | { answerAfter: number }
  | { answerTo: RegExp }

/**
 * reset: RST to both ends; what they have not read yet may be lost, as on any wire. close: an end in good order, after
 * all that was passed. silence: the connection stays open and nothing passes any more, until cutAll.
 */
export type FaultKind = 'reset' | 'close' | 'silence'

export interface PlannedFault {
  /** Whether it has happened; it happens once. */
  readonly met: boolean
  cancel(): void
}

export interface FaultProxy {
  /** 127.0.0.1:PORT, to be named in place of the target. */
  readonly host: string
  /** Connections so far. */
  readonly connections: number
  /** Connections that are open now. */
  readonly open: number
  /** Questions so far. */
  readonly calls: number
  /** What passed of each question and of its answer. */
  readonly exchanges: ReadonlyArray<Readonly<Record<Direction, number>>>
  /** Bytes that came from the client (up) and from the target (down). */
  readonly taken: Readonly<Record<Direction, number>>
  /** Bytes that were handed on. */
  readonly passed: Readonly<Record<Direction, number>>
  /** Of connections that open from now on. */
  link: LinkOptions
  /** Plans a fault. Default kind: reset. */
  fail(at: FaultPoint, kind?: FaultKind): PlannedFault
  /** Ends every open connection, silent ones too. Default: by a reset. */
  cutAll(kind?: Exclude<FaultKind, 'silence'>): void
}

type Moment = 'connection' | 'call' | 'answer'

interface Fault {
  readonly kind: FaultKind
  /** Whether it is due when the connection opens (or asks, or is answered). */
  begins(moment: Moment, number: number, connection: Connection): boolean
  /** How many bytes may pass before it is due; Infinity where others set it off. */
  left(connection: Connection, direction: Direction): number
  over: boolean
  met: boolean
}

interface Connection {
  readonly client: Socket
  readonly target: Socket
  readonly passed: Record<Direction, number>
  /** The number of its newest question, and whether its answer has not begun. */
  call: number
  asking: boolean
  /** What it began with. */
  question: string
  /** Of its newest question. */
  exchange: Record<Direction, number>
  silent: boolean
}

/**
 * A TCP proxy on a free loopback port before a real server; it counts, slows down and breaks connections. `target` is
 * `host:port` or the path of a unix socket.
 */
export async function startFaultProxy(t: Cleanup, target: string, link: LinkOptions = {}): Promise<FaultProxy> {
  const exchanges: Array<Record<Direction, number>> = []
  const counts = { connections: 0, calls: 0, taken: { up: 0, down: 0 }, passed: { up: 0, down: 0 } }
  const faults: Fault[] = []
  const open = new Set<Connection>()

  const meet = (connection: Connection, fault: Fault): void => {
    fault.met = fault.over = true
    if (fault.kind === 'silence') connection.silent = true
    else end(connection, fault.kind)
  }
  const begin = (connection: Connection, moment: Moment, number: number): void => {
    const fault = faults.find((planned) => !planned.over && planned.begins(moment, number, connection))
    if (fault) meet(connection, fault)
  }
  const turn = (connection: Connection, direction: Direction, chunk: Buffer): void => {
    if (connection.silent || connection.asking === (direction === 'up')) return
    connection.asking = direction === 'up'
    if (connection.asking) {
      connection.call = ++counts.calls
      connection.question = chunk.toString('latin1', 0, 4096)
      connection.exchange = { up: 0, down: 0 }
      exchanges.push(connection.exchange)
    }
    begin(connection, connection.asking ? 'call' : 'answer', connection.call)
  }
  const carry = async (connection: Connection, direction: Direction, chunk: Buffer): Promise<void> => {
    turn(connection, direction, chunk)
    // Held back for good: the sender's window fills, as it does when a cable is pulled.
    if (connection.silent) return new Promise(() => {})
    const limits = faults
      .filter(({ over }) => !over)
      .map((fault) => ({ fault, left: fault.left(connection, direction) }))
    const nearest = limits.toSorted((a, b) => a.left - b.left)[0]
    const part = nearest && nearest.left < chunk.length ? chunk.subarray(0, nearest.left) : chunk
    connection.passed[direction] += part.length
    connection.exchange[direction] += part.length
    counts.passed[direction] += part.length
    await write(direction === 'up' ? connection.target : connection.client, part)
    if (nearest && nearest.left <= chunk.length) meet(connection, nearest.fault)
  }

  const accept = (client: Socket): void => {
    const connection: Connection = {
      client,
      target: connectTo(target),
      passed: { up: 0, down: 0 },
      call: 0,
      asking: false,
      question: '',
      exchange: { up: 0, down: 0 },
      silent: false,
    }
    open.add(connection)
    for (const [direction, from, to] of [
      ['up', client, connection.target],
      ['down', connection.target, client],
    ] as const) {
      from.on('data', (chunk) => void (counts.taken[direction] += chunk.length))
      from.on('error', () => end(connection, 'reset'))
      from.once('close', () => to.destroyed && open.delete(connection))
      const carried = carryOver(from, proxy.link, (chunk) => carry(connection, direction, chunk))
      void carried.then(() => (connection.silent ? undefined : to.end()))
    }
    counts.connections += 1
    begin(connection, 'connection', counts.connections)
  }

  const server = createServer({ allowHalfOpen: true }, accept)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const cutAll: FaultProxy['cutAll'] = (kind = 'reset') => open.forEach((connection) => end(connection, kind))
  defer(t, async () => {
    cutAll()
    await new Promise<void>((resolve) => server.close(() => resolve()))
  })
  const proxy: FaultProxy = {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    taken: counts.taken,
    passed: counts.passed,
    exchanges,
    link,
    get connections() {
      return counts.connections
    },
    get open() {
      return open.size
    },
    get calls() {
      return counts.calls
    },
    fail(at, kind = 'reset') {
      const fault = planFault(at, kind, { ...counts, open })
      faults.push(fault)
      return {
        get met() {
          return fault.met
        },
        cancel: () => void (fault.over = true),
      }
    },
    cutAll,
  }
  return proxy
}

/** Everything is counted from now on. */
function planFault(
  at: FaultPoint,
  kind: FaultKind,
  before: { connections: number; calls: number; open: Iterable<Connection> },
): Fault {
  const answerTo = 'answerTo' in at ? at.answerTo : undefined
  const wanted = new Map<string, number>('answerTo' in at ? [] : Object.entries(at))
  const after = wanted.get('after')
  const earlier = new Map(Array.from(before.open, (connection) => [connection, { ...connection.passed }]))
  const passed = (connection: Connection, direction: Direction): number =>
    connection.passed[direction] - (earlier.get(connection)?.[direction] ?? 0)
  return {
    kind,
    over: false,
    met: false,
    begins(moment, number, connection) {
      if (moment === 'answer' && answerTo?.test(connection.question)) return true
      const enough = wanted.get('answerAfter')
      if (enough !== undefined) return moment === 'answer' && passed(connection, 'up') >= enough
      const nth = wanted.get(moment)
      return (
        after === undefined &&
        nth !== undefined &&
        number === nth + (moment === 'connection' ? before.connections : before.calls)
      )
    },
    left(connection, direction) {
      const nth = wanted.get(direction === 'up' ? 'call' : 'answer')
      if (after !== undefined && nth !== undefined) {
        return connection.call === nth + before.calls ? after - connection.exchange[direction] : Infinity
      }
      return (wanted.get(direction) ?? Infinity) - passed(connection, direction)
    },
  }
}

function end({ client, target }: Connection, kind: Exclude<FaultKind, 'silence'>): void {
  for (const socket of [client, target]) {
    // What still comes is thrown away: a socket that nobody reads does not see its end.
    if (kind === 'close') socket.end().removeAllListeners('data').resume()
    // A unix socket knows no RST; it ends without having read everything, which its peer sees as one.
    else if (socket instanceof UnixSocket) socket.destroy()
    else socket.resetAndDestroy()
  }
}

class UnixSocket extends Socket {}

function connectTo(target: string): Socket {
  const [, host, port] = /^(.*):(\d+)$/.exec(target) ?? []
  if (host === undefined) return new UnixSocket({ allowHalfOpen: true }).connect(target)
  return createConnection({ host, port: Number(port), allowHalfOpen: true })
}
