import { errors } from 'undici'
import { untilAborted } from '../../../lib/abort.ts'
import type { CallFacts } from '../../errors/errors.ts'
import { beforeSend, type HookList, onBody, onConnection } from '../../request/hooks.ts'
import { IdleConnections } from './idle-connections.ts'
import { requestHead, type RequestLine } from './request-head.ts'
import { type ConnectionOptions, type SmallAnswer, SmallConnection, type SmallRequest } from './small-connection.ts'

export type { SmallAnswer }

export interface SmallCall extends RequestLine, Omit<SmallRequest, 'head' | 'onBody'> {
  /** Whether it may be sent twice, should its connection turn out to have been closed (oci-client.md Y). */
  repeatable: boolean
  facts: CallFacts
  hooks: HookList
  signal: AbortSignal
}

/** Connections for requests and answers of a few KiB, kept between requests (docs/adr/0012). */
export interface SmallConnections {
  /** Rejects with the abort's reason, with what a hook throws, or with an error to be told by networkError. */
  send(call: SmallCall): Promise<SmallAnswer>
  /** Keeps no connection any more: each closes with its answer. */
  retire(): void
  /** What is under way fails as it does with undici's agents. */
  destroy(): void
}

export function createSmallConnections(options: ConnectionOptions): SmallConnections {
  const idle = new IdleConnections()
  const all = new Set<SmallConnection>()
  /** Waits for connections that are being made, which destroy() ends. */
  const opening = new Set<PromiseWithResolvers<SmallConnection>>()
  let destroyed = false
  let retired = false

  const open = (url: URL): Promise<SmallConnection> => {
    const waiting = Promise.withResolvers<SmallConnection>()
    opening.add(waiting)
    const take = (connection: SmallConnection): void => {
      all.add(connection)
      if (destroyed) connection.close()
      waiting.resolve(connection)
    }
    const made = SmallConnection.open(url, options, (closed) => all.delete(closed))
    void made.then(take, waiting.reject).finally(() => opening.delete(waiting))
    return waiting.promise
  }
  const keep = (origin: string, connection: SmallConnection): void => {
    if (connection.ready && !retired && !destroyed) idle.keep(origin, connection)
    else connection.close()
  }
  const acquire = async ({ url, signal }: SmallCall, fresh: boolean): Promise<SmallConnection> => {
    const waiting = fresh ? undefined : idle.take(url.origin)
    if (waiting) return waiting
    const made = open(url)
    try {
      return await untilAborted(made, signal)
    } catch (error) {
      // Whoever asked has gone; the connection is as good for the next.
      if (signal.aborted) void made.then((connection) => keep(url.origin, connection)).catch(() => undefined)
      throw error
    }
  }

  return {
    async send(call) {
      for (let fresh = false; ; fresh = true) {
        if (destroyed) throw new errors.ClientDestroyedError()
        const connection = await acquire(call, fresh)
        try {
          return await sendOn(connection, call)
        } catch (error) {
          const closedBefore = connection.waited && connection.unanswered && !call.signal.aborted && !destroyed
          if (!closedBefore || !call.repeatable) throw error
        } finally {
          keep(call.url.origin, connection)
        }
      }
    },
    retire() {
      retired = true
      idle.close()
    },
    destroy() {
      destroyed = true
      idle.clear()
      for (const waiting of opening) waiting.reject(new errors.ClientDestroyedError())
      for (const connection of all) connection.close(new errors.ClientDestroyedError())
    },
  }
}

/** Tells of the body while it comes: who waits for it sees nothing of it before it is whole. */
function bodyTeller({ hooks, facts }: SmallCall): { onBody: (bytes: number) => void; end: () => void } {
  let told: number | undefined
  return {
    onBody(bytes) {
      onBody(hooks, facts, bytes - (told ?? 0))
      told = bytes
    },
    end() {
      if (told !== undefined) onBody(hooks, facts, undefined)
    },
  }
}

async function sendOn(connection: SmallConnection, call: SmallCall): Promise<SmallAnswer> {
  const { method, body, headersTimeoutMs, bodyTimeoutMs, signal } = call
  const head = requestHead(call, body)
  signal.throwIfAborted()
  beforeSend(call.hooks, call.facts)
  onConnection(call.hooks, call.facts, connection.use())
  const telling = bodyTeller(call)
  const abort = (): void => connection.close(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    const told = { method, head, headersTimeoutMs, bodyTimeoutMs, onBody: telling.onBody }
    return await connection.send(body ? { ...told, body } : told)
  } finally {
    telling.end()
    signal.removeEventListener('abort', abort)
  }
}
