import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { Static } from 'typebox'
import type { JobQueue } from '../../jobs/queue.ts'
import { AppError } from '../../lib/errors.ts'
import type { ContentStore } from '../../store/content-store.ts'
import { acceptsByName } from '../answers/accept.ts'
import type { WhyNoRedis } from '../../jobs/redis/redis.ts'
import { htmlPage, linked, sendPage } from '../answers/html-page.ts'
import {
  getLivenessSchema,
  getOverviewSchema,
  getReadinessSchema,
  getVersionSchema,
  type Overview,
  type Readiness,
} from '../schemas/health.ts'

/** A readiness probe that waits longer than this is as good as failed. */
const REDIS_ANSWERS_WITHIN_MS = 2000

export interface HealthOptions {
  queue: Pick<JobQueue, 'trouble' | 'liveWorkers'>
  whyNoRedis?: WhyNoRedis | undefined
  store: Pick<ContentStore, 'disk'>
  version: string
  /** In the all-in-one role being ready means that a worker takes jobs, too. */
  allInOne: boolean
  closing: AbortSignal
  /** AppOptions. */
  joined: () => boolean
}

type Reason = Static<typeof Readiness>['reasons'][number]
type DiskState = Static<typeof Readiness>['disk']

const ADDRESSES = {
  '/v1/jobs': 'POST a job; GET lists them',
  '/v1/jobs/{id}': 'one job; DELETE removes it once it has ended',
  '/v1/jobs/{id}/events': 'its events, as server-sent events while it runs',
  '/v1/jobs/{id}/transfers': 'one row a layer',
  '/v1/jobs/{id}/cancel': 'POST',
  '/v1/jobs/{id}/pause': 'POST; /resume goes on where it stopped',
  '/v1/jobs/{id}/retry': 'POST',
  '/v1/jobs/{id}/logs': 'what became of it, in words',
  '/v1/packages': 'what the content store holds',
  '/v1/remote-packages': '?ref=oci://... looks at a package in its registry, or at what a repository holds',
  '/v1/remote-packages/sboms': '?ref=oci://...; also /manifests, /sizes and more, as /docs lists them',
  '/v1/packages/{digest}': 'one stored package; DELETE removes it',
  '/v1/packages/{digest}/archive': 'its archive, as zarf reads it',
  '/v1/packages/{digest}/sboms': 'its SBOMs; also /manifests, /sizes and more',
  '/v1/uploads': 'what was uploaded',
  '/v1/uploads/{id}/package': 'the package in it; also /sboms and more',
  '/v1/uploads/{file name}': 'PUT a package from this machine (curl -T)',
  '/v1/workers': 'the processes that run jobs',
  '/docs': 'the interface, to read and try',
  '/docs/errors': 'each error code',
  '/openapi.yaml': 'the interface, for programs',
  '/metrics': 'figures for Prometheus',
  '/readyz': 'whether jobs are taken',
  '/livez': 'whether the process answers',
  '/version': 'which version this is',
}

export const healthRoutes: FastifyPluginAsyncTypebox<HealthOptions> = async (app, options) => {
  const { version } = options

  app.get('/livez', { schema: getLivenessSchema }, async () => ({ live: true as const }))

  app.get('/readyz', { schema: getReadinessSchema }, async (_request, reply) => {
    const [reasons, disk] = await Promise.all([findReasons(options), diskState(options.store)])
    void reply.header('cache-control', 'no-store')
    return reply.code(reasons.length === 0 ? 200 : 503).send({ ready: reasons.length === 0, reasons, disk })
  })

  app.get('/version', { schema: getVersionSchema }, async () => ({
    name: 'layerd' as const,
    version,
    node: process.versions.node,
  }))

  app.get('/', { schema: getOverviewSchema }, async (request, reply) => {
    const overview = {
      name: 'layerd' as const,
      version,
      description: 'Package manager service for Zarf packages in OCI registries.',
      addresses: ADDRESSES,
    }
    void reply.header('vary', 'accept')
    if (acceptsByName(request.headers.accept, 'text/html')) return sendPage(reply, asPage(overview))
    if (acceptsByName(request.headers.accept, 'application/json')) return overview
    // The schema is of the JSON form; a string goes out as it is.
    return reply.type('text/plain; charset=utf-8').serializer(String).send(asText(overview))
  })
}

async function findReasons(options: HealthOptions): Promise<Reason[]> {
  if (options.closing.aborted) return [{ check: 'closing', detail: 'layerd is shutting down' }]
  const trouble = options.joined()
    ? await options.queue.trouble(REDIS_ANSWERS_WITHIN_MS)
    : 'layerd is starting and waits for Redis'
  if (trouble !== undefined) {
    const why = await options.whyNoRedis?.()
    return [{ check: 'redis', detail: why?.detail ?? trouble }]
  }
  if (!options.allInOne) return []
  const workers = await options.queue.liveWorkers().catch((error: unknown) => {
    if (error instanceof AppError && error.code === 'QUEUE_UNAVAILABLE') return 0
    throw error
  })
  return workers > 0 ? [] : [{ check: 'workers', detail: 'no worker takes jobs yet' }]
}

/** A disk that runs low keeps nobody out: who could delete something has to get in. */
async function diskState(store: HealthOptions['store']): Promise<DiskState> {
  return store.disk().then(
    ({ low }) => (low ? 'low' : 'ok'),
    () => 'unknown',
  )
}

function asText(overview: Static<typeof Overview>): string {
  const width = Math.max(...Object.keys(overview.addresses).map((address) => address.length))
  const lines = Object.entries(overview.addresses).map(([address, what]) => `  ${address.padEnd(width)}  ${what}`)
  return `${overview.name} ${overview.version}: ${overview.description}\n\n${lines.join('\n')}\n`
}

/** Links where there is something to open: an address without a place to fill in that answers a GET. */
function asPage(overview: Static<typeof Overview>): string {
  const rows = Object.entries(overview.addresses).map(
    ([address, what]) => `<tr><th>${linked(address)}</th><td>${what}</td></tr>`,
  )
  const body = `<h1>layerd ${overview.version}</h1>\n<p>${overview.description}</p>\n<table>\n${rows.join('\n')}\n</table>`
  return htmlPage('layerd', body)
}
