import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { lstat } from 'node:fs/promises'
import { createConnection, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { AppError } from '../lib/errors.ts'
import { makeFolders } from '../lib/make-folders.ts'

/** `sun_path` of unix(7) less its NUL. Redis refuses a longer path and Node gives EINVAL. */
const SOCKET_PATH_BYTES = 107
const ANSWER_TIMEOUT_MS = 1000

/**
 * Where the own Redis of a data directory listens: in the directory, or where that is too deep in the temporary folder,
 * under a name that every process of this user derives alike.
 */
export function redisSocketPath(dataDir: string): string {
  const path = join(dataDir, 'redis', 'redis.sock')
  if (Buffer.byteLength(path) <= SOCKET_PATH_BYTES) return path
  const hash = createHash('sha256').update(dataDir).digest('hex').slice(0, 16)
  return join(tmpdir(), `layerd-${process.getuid?.() ?? 0}-${hash}`, 'redis.sock')
}

/** Makes the socket's folder. One that somebody else made, or may write to, could hand us a Redis that is not ours. */
export async function prepareSocketFolder(socketPath: string): Promise<void> {
  const folder = dirname(socketPath)
  await makeFolders(folder, 0o700)
  const facts = await lstat(folder)
  const own = facts.isDirectory() && facts.uid === process.getuid?.() && (facts.mode & 0o022) === 0
  if (own) return
  throw new AppError('CONFIG_INVALID', `${folder} is not a folder that only this user may write to`, {
    hint: 'Remove it, or choose a LAYERD_DATA_DIR with a shorter path.',
  })
}

/** Asks Redis one thing; undefined when nothing answers. Enough to know who is there before a client is opened. */
export async function askRedis(socketPath: string, question: 'PING' | 'INFO server'): Promise<string | undefined> {
  const socket = createConnection(socketPath)
  socket.setEncoding('utf8').setTimeout(ANSWER_TIMEOUT_MS, () => socket.destroy(new Error('no answer')))
  try {
    socket.write(`${question}\r\n`)
    let answer = ''
    for await (const text of socket) {
      answer += text
      if (isWhole(answer)) return answer
    }
    return undefined
  } catch {
    return undefined
  } finally {
    socket.destroy()
  }
}

/** A simple reply ends with its line; a bulk one tells its length first. Source: RESP2. */
function isWhole(answer: string): boolean {
  const end = answer.indexOf('\r\n')
  if (end < 0) return false
  return answer[0] !== '$' || Buffer.byteLength(answer) >= end + 4 + Number(answer.slice(1, end))
}

/** A connection whose `close` tells that Redis has ended. */
export async function holdConnection(socketPath: string): Promise<Socket> {
  const socket = createConnection(socketPath)
  socket.on('error', () => {})
  await once(socket, 'connect')
  return socket
}
