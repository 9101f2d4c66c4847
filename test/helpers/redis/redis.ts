import { join } from 'node:path'
import { createConnection } from 'node:net'
import { Redis } from 'ioredis'
import { type Cleanup, CleanupStack, defer } from '../cleanup.ts'
import { freePort } from '../network/ports.ts'
import { type RunningProcess, startProcess } from '../processes/processes.ts'
import { shortTempDir } from '../temp-dir.ts'
import { waitFor } from '../wait-for.ts'

export interface TestRedisOptions {
  /** Listen on a loopback TCP port too, for what needs a redis:// URL. Default: the unix socket alone. */
  tcp?: boolean
  /** Further arguments of redis-server. */
  args?: readonly string[]
}

export interface TestRedis {
  /** For ioredis: `new Redis(redis.clientOptions)`. */
  readonly clientOptions: { path: string }
  readonly socketPath: string
  /** redis://127.0.0.1:PORT; throws without the option `tcp`. */
  readonly url: string
  readonly pid: number
  /** The process stops answering, its connections stay (SIGSTOP). */
  pause(): void
  resume(): void
  /** It accepts connections and takes commands, and answers none for so long (CLIENT PAUSE). */
  pauseClients(ms: number): Promise<void>
  /** Ends it in order. What was written is kept for the next start. */
  stop(): Promise<void>
  /** SIGKILL. What was acknowledged is kept for the next start. */
  kill(): Promise<void>
  /** Starts it again, on the same socket, port and data. */
  start(): Promise<void>
}

/** A redis-server of one's own, empty, with an append-only file; gone when the test ends. */
export async function startRedis(t: Cleanup, options: TestRedisOptions = {}): Promise<TestRedis> {
  const folder = await shortTempDir(t)
  const socketPath = join(folder, 'redis.sock')
  const port = options.tcp === true ? await freePort() : 0
  const args = [
    ['--port', String(port), '--bind', '127.0.0.1', '--unixsocket', socketPath, '--unixsocketperm', '700'],
    // Not everysec: while an fsync is under way that one holds writes back which it has acknowledged.
    [
      '--dir',
      folder,
      '--appendonly',
      'yes',
      '--appendfsync',
      'no',
      '--save',
      '',
      '--maxmemory-policy',
      'noeviction',
      '--daemonize',
      'no',
    ],
    options.args ?? [],
  ].flat()
  let child: RunningProcess
  // One that is started again ends when the first one would have: after all that was made to use it.
  const children = new CleanupStack()
  defer(t, () => children[Symbol.asyncDispose]())

  const start = async () => {
    const started = await startProcess(children, 'redis-server', args)
    child = started
    await waitFor('redis-server to answer', async () => {
      if (!started.isRunning()) throw new Error(`redis-server ended:\n${started.output()}`)
      return answersPing(socketPath)
    })
  }
  await start()

  return {
    clientOptions: { path: socketPath },
    socketPath,
    get url() {
      if (port === 0) throw new Error('start this Redis with { tcp: true } for a URL')
      return `redis://127.0.0.1:${port}`
    },
    get pid() {
      return child.pid
    },
    pause: () => child.signal('SIGSTOP'),
    resume: () => child.signal('SIGCONT'),
    async pauseClients(ms) {
      const client = new Redis({ path: socketPath })
      try {
        await client.client('PAUSE', ms, 'ALL')
      } finally {
        client.disconnect()
      }
    },
    async stop() {
      await child.stop()
    },
    async kill() {
      await child.kill()
    },
    start,
  }
}

/** Loading an append-only file answers -LOADING to a PING, so only +PONG counts. */
function answersPing(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(path)
    const done = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.setTimeout(1000, () => done(false))
    socket.once('error', () => done(false))
    socket.once('data', (data) => done(data.toString().startsWith('+PONG')))
    socket.write('PING\r\n')
  })
}
