import { callbackify } from 'node:util'
import rateLimit, { type CreateRateLimitOptions } from '@fastify/rate-limit'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import type { RateCounter, RateSettings } from '../../access/rates.ts'
import { AppError } from '../../lib/errors.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Counts it as its caller's. Throws RATE_LIMITED. */
    limitPrincipal: (reply: FastifyReply) => Promise<void>
    /** Counts it as one by a link of its caller's, apart from what these ask for themselves. Throws RATE_LIMITED. */
    limitLinks: (reply: FastifyReply) => Promise<void>
    /** Counts it as nobody's, who came from there. Throws RATE_LIMITED. */
    limitAddress: (reply: FastifyReply) => Promise<void>
    /** Counts a log-in that failed: what to answer it with in place of that; undefined: nothing else. */
    logInFailed: () => Promise<AppError | undefined>
  }
}

export interface RateLimitsOptions {
  /** Default: nothing is counted. windowMs: default a minute. */
  rates?: (RateSettings & { counter: RateCounter; windowMs?: number }) | undefined
  /** Without tokens everybody is on this machine, and one. */
  tokensRequired: boolean
}

const MINUTE_MS = 60_000
/** Guesses; who has a token that has ended is told so, so many times a minute. */
const FAILED_LOG_INS = 30
const MOST_PATIENCE_MS = 3_600_000

/**
 * Who asks too often waits: RateLimit and RateLimit-Policy tell before. While Redis is away nobody is counted, for then nothing
 * else is answered. Source: draft-ietf-httpapi-ratelimit-headers-10.
 */
export const rateLimitsPlugin = fastifyPlugin(
  async (app: FastifyInstance, { rates, tokensRequired }: RateLimitsOptions) => {
    const nothing = async () => undefined
    if (!rates || !tokensRequired) {
      app.decorateRequest('limitPrincipal', nothing)
      app.decorateRequest('limitLinks', nothing)
      app.decorateRequest('limitAddress', nothing)
      app.decorateRequest('logInFailed', nothing)
      return
    }
    const { windowMs = MINUTE_MS } = rates
    await app.register(rateLimit, {
      global: false,
      timeWindow: windowMs,
      skipOnError: true,
      store: storeOver(rates.counter),
    })
    const limitBy = (policy: string, options: Pick<Grouped, 'max' | 'keyGenerator'>, what: WhatTooOften) => {
      const { max } = options
      const check = limiter(app, { ...options, group: policy })
      return async function limit(this: FastifyRequest, reply: FastifyReply): Promise<void> {
        const found = max === 0 ? undefined : await check(this)
        if (!found) return
        tell(reply, policy, { ...found, windowMs })
        if (found.isExceeded) throw tooOften(`${what(found, this)} in ${windowMs / 1000} s`, found)
      }
    }
    const byCaller = { max: rates.perPrincipal, keyGenerator: ({ caller }: FastifyRequest) => caller.name }
    const failures = limiter(app, { max: FAILED_LOG_INS, group: 'failed', mostMs: MOST_PATIENCE_MS })
    app.decorateRequest(
      'limitPrincipal',
      limitBy('principal', byCaller, ({ max }, { caller }) => `"${caller.name}" has sent more than ${max} requests`),
    )
    // Whoever has a link keeps nobody from anything else.
    app.decorateRequest(
      'limitLinks',
      limitBy('links', byCaller, ({ max }) => `links of one caller were followed more than ${max} times`),
    )
    app.decorateRequest(
      'limitAddress',
      limitBy(
        'address',
        { max: rates.perAddress },
        ({ max, key }) => `more than ${max} requests without a token came from ${key}`,
      ),
    )
    app.decorateRequest('logInFailed', async function logInFailed(this: FastifyRequest) {
      const found = await failures(this)
      if (!found?.isExceeded) return undefined
      const what = `the token is not known, or not any more, and more than ${found.max} such came from ${found.key}`
      return tooOften(what, found)
    })
  },
  { name: 'rate-limits', fastify: '5.x' },
)

interface Found {
  readonly key: string
  readonly max: number
  readonly remaining: number
  readonly ttl: number
  readonly ttlInSeconds: number
  readonly isExceeded: boolean
}

type WhatTooOften = (found: Found, request: FastifyRequest) => string
type Grouped = CreateRateLimitOptions & { readonly group: string; readonly mostMs?: number }

/** Undefined where nobody could count. An address of IPv6 stands for its /64. */
function limiter(app: FastifyInstance, options: Grouped): (request: FastifyRequest) => Promise<Found | undefined> {
  const check = app.createRateLimit(options)
  return async (request) => {
    const found = await check(request)
    return found.isAllowed || found.ttl === 0 ? undefined : found
  }
}

/** Each group counts for itself. */
function storeOver(counter: RateCounter) {
  type Callback = (error: Error | null, result?: { ttl: number; current: number }) => void
  return class Store {
    readonly #options: Partial<Grouped>
    constructor(options: object) {
      this.#options = options
    }
    incr(key: string, callback: Callback, windowMs = MINUTE_MS, max = 0): void {
      const { group = '', mostMs } = this.#options
      const rate = { max, windowMs, ...(mostMs === undefined ? {} : { mostMs }) }
      callbackify(async () => {
        const { current, ttlMs } = await counter.count(`${group}:${key}`, rate)
        return { current, ttl: ttlMs }
      })(callback)
    }
    child(options: object): Store {
      return new Store(options)
    }
  }
}

type Told = Found & { readonly windowMs: number }

function tell(reply: FastifyReply, policy: string, { max, remaining, ttlInSeconds, windowMs }: Told): void {
  void reply.headers({
    'ratelimit-policy': `"${policy}";q=${max};w=${windowMs / 1000}`,
    ratelimit: `"${policy}";r=${remaining};t=${ttlInSeconds}`,
  })
}

function tooOften(what: string, { ttl }: Found): AppError {
  return new AppError('RATE_LIMITED', what, {
    retryAfterMs: Math.max(1000, ttl),
    hint: 'Wait as long as Retry-After says. To follow a job, read its events (GET /v1/jobs/{id}/events) in place of asking again and again.',
  })
}
