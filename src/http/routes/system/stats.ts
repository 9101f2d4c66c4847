import { createHash } from 'node:crypto'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { requireAllBelow, requireUnlimited } from '../../../access/limits.ts'
import type { Principal } from '../../../access/principal.ts'
import { seesAll } from '../../../access/sight.ts'
import { parseDestination, registryId } from '../../../content/reference.ts'
import type { JobQueue } from '../../../jobs/queue.ts'
import { type JobStats, STATS_SECONDS } from '../../../jobs/system/stats.ts'
import { AppError } from '../../../lib/errors.ts'
import { isKnownTag } from '../../answers/conditional.ts'
import { sendJson } from '../../answers/made-json.ts'
import { DEFAULT_WINDOW, getStatsSchema, type Stats } from '../../schemas/system/stats.ts'
import { parseStatsWindow, type StatsWindow } from './stats-window.ts'

export interface StatsRoutesOptions {
  queue: Pick<JobQueue, 'stats'>
}

/** What jobs moved, and how they ended, by time. */
export const statsRoutes: FastifyPluginAsyncTypebox<StatsRoutesOptions> = async (app, { queue }) => {
  app.get('/v1/stats', { schema: getStatsSchema, config: { scope: ['system:read'] } }, async (request, reply) => {
    const { window: text = DEFAULT_WINDOW, kind: kinds, registry: named } = request.query
    const window = parseStatsWindow(text)
    const registry = named === undefined ? undefined : registryIn(named)
    requireStatsOf(request.caller, registry)
    const told = toldStats(text, window, await queue.stats({ ...window, registry, kinds }))
    const tag = tagOf(told)
    // Weak: `now` is another each time.
    void reply.header('etag', `W/${tag}`).header('cache-control', 'no-cache')
    if (isKnownTag(request.headers['if-none-match'], tag)) return reply.code(304).send(null)
    return sendJson<Stats>(reply, told)
  })
}

/** The same until something is counted, or the next minute or hour begins. */
function tagOf(told: Stats): string {
  const said = JSON.stringify({ ...told, now: '' })
  return `"${createHash('sha256').update(said).digest('base64url').slice(0, 22)}"`
}

/** Throws REFERENCE_INVALID, REQUEST_INVALID. */
function registryIn(text: string): string {
  const { registry, namespace } = parseDestination(`oci://${text}`)
  if (namespace === '') return registryId(registry)
  throw new AppError('REQUEST_INVALID', `"${text.slice(0, 300)}" is more than the host of a registry`, {
    hint: 'It is host[:port]: figures are kept by registry, and not by repository.',
    details: { parameter: 'registry' },
  })
}

/** Throws TOKEN_LIMITED. */
function requireStatsOf(caller: Principal, registry: string | undefined): void {
  if (seesAll(caller)) return
  if (registry === undefined)
    requireUnlimited(caller, 'the figures of all registries; ?registry= asks for those of one')
  else requireAllBelow(caller, { registry, path: '' })
}

function toldStats(window: string, { resolution }: StatsWindow, stats: JobStats): Stats {
  const { times, totals, series, registries, otherRegistries = null, kinds } = stats
  const isoOf = (seconds: number): string => new Date(seconds * 1000).toISOString()
  return {
    window,
    resolution,
    since: isoOf(times[0] ?? 0),
    until: isoOf((times.at(-1) ?? 0) + STATS_SECONDS[resolution]),
    now: isoOf(stats.now),
    totals,
    times: [...times],
    series,
    registries: [...registries],
    otherRegistries,
    kinds: [...kinds],
  }
}
