import type { FastifyReply } from 'fastify'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { Static } from 'typebox'
import { acceptsByName } from '../answers/accept.ts'
import { htmlPage, linked, sendPage } from '../answers/html-page.ts'
import { getOverviewSchema, type Overview } from '../schemas/health.ts'

const ADDRESSES = {
  '/v1/jobs': 'POST a job; GET lists them',
  '/v1/jobs/{id}': 'one job; DELETE removes it once it has ended',
  '/v1/jobs/{id}/events': 'its events, as server-sent events while it runs',
  '/v1/jobs/{id}/transfers': 'one row a layer',
  '/v1/jobs/{id}/runs': 'its attempts: where each ran, and why it ended',
  '/v1/jobs/{id}/cancel': 'POST',
  '/v1/jobs/{id}/pause': 'POST; /resume goes on where it stopped',
  '/v1/jobs/{id}/retry': 'POST',
  '/v1/jobs/{id}/logs': 'what became of it, in words',
  '/v1/events': 'what happens to all jobs, as server-sent events',
  '/v1/packages': 'what the content store holds',
  '/v1/remote-packages': '?ref=oci://... looks at a package in its registry, or at what a repository holds',
  '/v1/remote-packages/sboms': '?ref=oci://...; also /manifests, /sizes and more, as /docs lists them',
  '/v1/packages/{digest}': 'one stored package; DELETE removes it',
  '/v1/packages/{digest}/archive': 'its archive, as zarf reads it',
  '/v1/packages/{digest}/sboms': 'its SBOMs; also /manifests, /sizes and more',
  '/v1/uploads': 'what was uploaded',
  '/v1/uploads/{id}/package': 'the package in it; also /sboms and more',
  '/v1/uploads/{file name}': 'PUT a package from this machine (curl -T)',
  '/v1/files': 'the packages in the file roots, for jobs to name',
  '/v1/queues': 'what waits for each registry, and why; /{host}/pause and /resume',
  '/v1/workers': 'the processes that run jobs; /{id}/drain and /resume',
  '/v1/stats': '?window=7d: bytes and jobs by minute or hour',
  '/v1/system': 'the store and Redis; /settings tells what is set, /store-check reads all of the store',
  '/docs': 'the interface, to read and try',
  '/docs/errors': 'each error code',
  '/openapi.yaml': 'the interface, for programs',
  '/metrics': 'figures for Prometheus',
  '/readyz': 'whether jobs are taken',
  '/livez': 'whether the process answers',
  '/version': 'which version this is',
}

export interface FrontRoutesOptions {
  version: string
  /** The dashboard, to browsers. Undefined: it has not been built, and they get a page of links. */
  sendDashboard: ((reply: FastifyReply) => FastifyReply) | undefined
}

/** What is at the address itself: the dashboard for browsers, and for everybody else what runs here and where things are. */
export const frontRoutes: FastifyPluginAsyncTypebox<FrontRoutesOptions> = async (app, { version, sendDashboard }) => {
  app.get('/', { schema: getOverviewSchema }, async (request, reply) => {
    const overview = {
      name: 'layerd' as const,
      version,
      description: 'Package manager service for Zarf packages in OCI registries.',
      addresses: ADDRESSES,
    }
    void reply.header('vary', 'accept')
    if (acceptsByName(request.headers.accept, 'text/html')) {
      return sendDashboard ? (sendDashboard(reply) as never) : sendPage(reply, asPage(overview))
    }
    if (acceptsByName(request.headers.accept, 'application/json')) return overview
    // The schema is of the JSON form; a string goes out as it is.
    return reply.type('text/plain; charset=utf-8').serializer(String).send(asText(overview))
  })
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
