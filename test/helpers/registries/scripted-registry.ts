import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Cleanup } from '../cleanup.ts'
import { listenOnLoopback } from '../network/listening.ts'

/** One line of a script: which request it is for, what it answers and what it changes. The first that fits is taken. */
export interface ScriptEntry {
  method: string
  /** Path and query as sent; a text must be equal. */
  path: string | RegExp
  /** Lower-case names; undefined means that it must be absent. */
  headers?: Record<string, string | RegExp | undefined>
  /** Only in this state; the script begins in ''. */
  state?: string
  /** The state afterwards. */
  setState?: string
  /** Fits any number of times. Default: once, and the script is not done before. */
  repeat?: boolean
  /** Waits before it answers. */
  until?: Promise<unknown>
  /** Reads this many bytes of the body and resets the connection. */
  dropAfter?: number
  /** Answers before the body was read. */
  early?: boolean
  status?: number
  answerHeaders?: Record<string, string>
  body?: string | Buffer
  /** Sends only this many bytes of the body and resets the connection. */
  cutBodyAfter?: number
}

export interface ScriptedRequest {
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

export interface ScriptedRegistry {
  readonly host: string
  readonly url: string
  /** In the order in which they began; without GET /v2/ unless the script names it, which is answered with 200. */
  readonly requests: ScriptedRequest[]
  /** Fails when a request fitted no line, or a line was never used. */
  check(): void
}

/**
 * A server that answers by a script, for what no real registry does on demand. A script that names the server's own
 * address is a function of it. Modelled on regclient's `internal/reqresp`.
 */
export async function startScriptedRegistry(
  t: Cleanup,
  script: readonly ScriptEntry[] | ((url: string) => readonly ScriptEntry[]),
): Promise<ScriptedRegistry> {
  const requests: ScriptedRequest[] = []
  const unexpected: string[] = []
  const used = new Set<ScriptEntry>()
  let state = ''
  let entries: readonly ScriptEntry[] = []

  const pick = (request: IncomingMessage): ScriptEntry | undefined =>
    entries.find(
      (entry) =>
        (entry.repeat === true || !used.has(entry)) &&
        (entry.state === undefined || entry.state === state) &&
        entry.method === request.method &&
        fits(entry.path, request.url ?? '') &&
        Object.entries(entry.headers ?? {}).every(([name, wanted]) => fits(wanted, request.headers[name])),
    )

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (isPing(request) && !pick(request)) {
      response.writeHead(200, { 'content-length': '2' }).end('{}')
      return
    }
    const chunks: Buffer[] = []
    const record = { method: request.method ?? '', path: request.url ?? '', headers: request.headers }
    requests.push(
      Object.defineProperty({ ...record, body: Buffer.alloc(0) }, 'body', { get: () => Buffer.concat(chunks) }),
    )
    const entry = pick(request)
    if (!entry) unexpected.push(`${record.method} ${record.path} in state "${state}"`)
    else {
      used.add(entry)
      state = entry.setState ?? state
    }
    if (entry?.early !== true) await readBody(request, chunks, entry?.dropAfter)
    if (request.socket.destroyed) return
    await entry?.until
    answer(response, entry)
  }

  const server = createServer((request, response) => {
    handle(request, response).catch(() => request.socket.destroy())
  })
  const host = await listenOnLoopback(t, server)
  const url = `http://${host}`
  entries = typeof script === 'function' ? script(url) : script
  return {
    host,
    url,
    requests,
    check() {
      const idle = entries.filter((entry) => entry.repeat !== true && !used.has(entry))
      const problems = [
        ...unexpected.map((request) => `not in the script: ${request}`),
        ...idle.map((entry) => `never asked for: ${entry.method} ${String(entry.path)}`),
      ]
      if (problems.length > 0) throw new Error(problems.join('\n'))
    },
  }
}

/** A client may ask which scheme is spoken before anything else; that belongs to no script. */
function isPing(request: IncomingMessage): boolean {
  return request.method === 'GET' && request.url === '/v2/'
}

function fits(wanted: string | RegExp | undefined, found: string | string[] | undefined): boolean {
  if (wanted === undefined || found === undefined) return wanted === found
  const text = String(found)
  return typeof wanted === 'string' ? wanted === text : wanted.test(text)
}

async function readBody(request: IncomingMessage, chunks: Buffer[], dropAfter: number | undefined): Promise<void> {
  let size = 0
  if (dropAfter === 0) request.socket.resetAndDestroy()
  for await (const chunk of request as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    size += chunk.length
    if (dropAfter === undefined || size < dropAfter) continue
    request.socket.resetAndDestroy()
    return
  }
  if (dropAfter !== undefined) request.socket.resetAndDestroy()
}

function answer(response: ServerResponse, entry: ScriptEntry | undefined): void {
  if (!entry) {
    response.writeHead(418).end('not in the script')
    return
  }
  const body = Buffer.from(entry.body ?? '')
  const unknownLength = entry.status === 204 || entry.answerHeaders?.['transfer-encoding'] !== undefined
  response.writeHead(entry.status ?? 200, {
    ...(unknownLength ? {} : { 'content-length': String(body.length) }),
    ...entry.answerHeaders,
  })
  if (entry.method === 'HEAD') response.end()
  else if (entry.cutBodyAfter === undefined) response.end(body)
  else response.write(body.subarray(0, entry.cutBodyAfter), () => response.socket?.resetAndDestroy())
}
