import type { Logger } from '../../lib/logger.ts'
import { connectRedis, type RedisTarget } from './redis.ts'

export interface ChannelListener {
  onMessage(message: string): void
  /** Messages may have been missed: the subscription is (again) in force from now on. */
  onGap(): void
}

/** Many listeners on many channels over one connection. */
export interface Subscriber {
  /**
   * Hears the channel from the moment `listening` resolves; it rejects when Redis is not there. The listener stays either
   * way, and gets `onGap` once a lost or failed subscription is in force.
   */
  listen(channel: string, listener: ChannelListener): { listening: Promise<void>; stop: () => Promise<void> }
  close(): Promise<void>
}

export interface SubscriberOptions {
  name: string
  logger: Logger
  /** How often the other end is asked for a sign of life, and how long that may take. Default 5 s each. */
  probeMs?: number
  silenceMs?: number
}

const PROBE_MS = 5000

/**
 * Subscribes again by itself after a reconnect, and not through ioredis: that tells nobody when the subscription is in
 * force, and a replay made before would miss what is published in between.
 */
export function createSubscriber(target: RedisTarget, options: SubscriberOptions): Subscriber {
  const redis = connectRedis(target, {
    role: 'api',
    name: options.name,
    ...(options.silenceMs === undefined ? {} : { silenceMs: options.silenceMs }),
    logger: options.logger,
  })
  const channels = new Map<string, Set<ChannelListener>>()
  const subscribed = new Set<string>()

  redis.on('message', (channel: string, message: string) => {
    for (const listener of channels.get(channel) ?? []) listener.onMessage(message)
  })
  redis.on('close', () => subscribed.clear())
  // Only what is asked shows whether anybody is there: a connection that nothing comes from looks like a quiet one.
  const probe = setInterval(() => {
    if (subscribed.size > 0) redis.ping().catch(() => {})
  }, options.probeMs ?? PROBE_MS).unref()
  redis.on('ready', () => {
    resubscribe().catch(() => redis.disconnect(true))
  })

  async function resubscribe(): Promise<void> {
    const names = [...channels.keys()].filter((name) => !subscribed.has(name))
    if (names.length === 0) return
    await redis.subscribe(...names)
    for (const name of names) {
      subscribed.add(name)
      for (const listener of channels.get(name) ?? []) listener.onGap()
    }
  }

  async function join(channel: string): Promise<void> {
    if (subscribed.has(channel)) return
    await redis.subscribe(channel)
    subscribed.add(channel)
  }

  async function leave(channel: string, listener: ChannelListener): Promise<void> {
    const listeners = channels.get(channel)
    listeners?.delete(listener)
    if (listeners === undefined || listeners.size > 0) return
    channels.delete(channel)
    if (subscribed.delete(channel)) await redis.unsubscribe(channel)
  }

  return {
    listen(channel, listener) {
      const listeners = channels.get(channel) ?? new Set()
      channels.set(channel, listeners.add(listener))
      const listening = join(channel)
      listening.catch(() => {})
      return { listening, stop: () => leave(channel, listener).catch(() => {}) }
    },
    async close() {
      clearInterval(probe)
      channels.clear()
      redis.disconnect()
    },
  }
}
