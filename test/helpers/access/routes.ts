import type { Scope } from '../../../src/access/scopes.ts'

/** What a route is about, whose owner decides. */
export type Subject = 'job' | 'upload' | 'package'

/** Who may ask a route for what, and how to ask it. */
export interface AccessRow {
  /** One of these is needed; all scopes that let through stand here. */
  readonly scopes: readonly Scope[] | 'known' | 'open'
  readonly about?: Subject
  /** What it is about is not as it was, so that who only sees it may not. */
  readonly changes?: true
  readonly payload?: object | Buffer
  readonly headers?: Readonly<Record<string, string>>
  /** Behind the path; `{ref}` is a package in a registry, `:digest` as in the path. */
  readonly query?: string
}

const PUBLISH = { kind: 'publish', source: 'file:/nowhere/p.tar.zst', destination: 'oci://registry.example/team' }
const OPEN: AccessRow = { scopes: 'open' }
const JOBS = { scopes: ['jobs:read', 'jobs:write'], about: 'job' } as const
const WRITE_JOBS = { scopes: ['jobs:write'], about: 'job', changes: true, payload: {} } as const
const PACKAGES = ['packages:read', 'packages:write'] as const
const REGISTRIES = { scopes: ['registries:read', 'registries:admin'] } as const
const ADMIN = { scopes: ['registries:admin'] } as const
const SYSTEM = { scopes: ['system:read', 'system:admin'] } as const
const POLICIES = { scopes: ['policies:admin', 'system:read', 'system:admin'] } as const
const TOKENS = { scopes: ['tokens:admin'] } as const
const TUS = { 'tus-resumable': '1.0.0' } as const
const UPLOADS = { scopes: ['uploads:write'], about: 'upload' } as const

const VIEWS = [
  'overview',
  'digest',
  'definition',
  'checksums',
  'files',
  'components',
  'images',
  'sizes',
  'variables',
  'manifests',
  'values',
  'documentation',
  'sboms',
  'signatures',
  'sboms/:name',
  'documentation/:name',
  'manifests/:component/:name',
  'values/:component/:name',
] as const

function views(prefix: string, row: AccessRow): Record<string, AccessRow> {
  return Object.fromEntries(VIEWS.map((view) => [`GET ${prefix}/${view}`, row]))
}

/** Every route, but for what the pages of /docs load. A HEAD is its GET. */
export const ACCESS_ROWS: Readonly<Record<string, AccessRow>> = {
  'GET /': OPEN,
  'GET /livez': OPEN,
  'GET /readyz': OPEN,
  'GET /version': OPEN,
  'GET /openapi.yaml': OPEN,
  'GET /docs/errors': OPEN,
  'GET /metrics': { scopes: ['system:read', 'system:admin'] },

  'GET /v1/events': { scopes: ['jobs:read', 'jobs:write'], headers: { accept: 'application/json' } },

  'POST /v1/jobs': { scopes: ['jobs:write'], payload: PUBLISH },
  'GET /v1/jobs': { scopes: ['jobs:read', 'jobs:write'] },
  'GET /v1/jobs/:id': JOBS,
  'GET /v1/jobs/:id/transfers': JOBS,
  'GET /v1/jobs/:id/runs': JOBS,
  'GET /v1/jobs/:id/events': { ...JOBS, headers: { accept: 'application/json' } },
  'GET /v1/jobs/:id/logs': JOBS,
  'GET /v1/jobs/:id/trace.har': JOBS,
  'POST /v1/jobs/:id/cancel': { ...WRITE_JOBS, scopes: ['jobs:cancel'] },
  'POST /v1/jobs/:id/pause': WRITE_JOBS,
  'POST /v1/jobs/:id/resume': WRITE_JOBS,
  'POST /v1/jobs/:id/retry': WRITE_JOBS,
  'DELETE /v1/jobs/:id': { scopes: ['jobs:write'], about: 'job', changes: true },

  'PUT /v1/uploads/:upload': { scopes: ['uploads:write'], payload: Buffer.from('bytes') },
  'GET /v1/uploads': { scopes: ['uploads:write'] },
  'GET /v1/uploads/:upload': UPLOADS,
  'DELETE /v1/uploads/:upload': { ...UPLOADS, changes: true },
  'POST /v1/uploads': {
    scopes: ['uploads:write'],
    headers: { ...TUS, 'upload-length': '5', 'upload-metadata': 'filename cC50YXI=' },
  },
  'PATCH /v1/uploads/:upload': {
    ...UPLOADS,
    changes: true,
    payload: Buffer.from(''),
    headers: { ...TUS, 'upload-offset': '5', 'content-type': 'application/offset+octet-stream' },
  },
  'OPTIONS /v1/uploads': { scopes: ['uploads:write'] },
  'OPTIONS /v1/uploads/:upload': { scopes: ['uploads:write'] },
  'GET /v1/uploads/:upload/package': { scopes: ['uploads:write', ...PACKAGES], about: 'upload' },
  ...views('/v1/uploads/:upload/package', { scopes: ['uploads:write', ...PACKAGES], about: 'upload' }),

  'GET /v1/files': { scopes: ['jobs:write'] },

  'GET /v1/packages': { scopes: PACKAGES },
  'GET /v1/packages/:digest': { scopes: PACKAGES, about: 'package' },
  'GET /v1/packages/:digest/archive': { scopes: PACKAGES, about: 'package' },
  'GET /v1/packages/:digest/changes': { scopes: PACKAGES, about: 'package', query: '?since=:digest' },
  'POST /v1/packages/:digest/links': { scopes: PACKAGES, about: 'package', payload: {} },
  'DELETE /v1/packages/:digest': { scopes: ['packages:delete'], about: 'package', changes: true },
  ...views('/v1/packages/:digest', { scopes: PACKAGES, about: 'package' }),

  'GET /v1/remote-packages': { scopes: PACKAGES, query: '?ref={ref}' },
  'GET /v1/remote-packages/referrers': { scopes: PACKAGES, query: '?ref={ref}' },
  ...views('/v1/remote-packages', { scopes: PACKAGES, query: '?ref={ref}' }),
  'GET /v1/bundles': { scopes: PACKAGES, query: '?ref={ref}' },

  'GET /v1/registries': REGISTRIES,
  'GET /v1/registries/:host': REGISTRIES,
  'PUT /v1/registries/:host': { ...ADMIN, payload: {} },
  'DELETE /v1/registries/:host': ADMIN,
  'POST /v1/registries/:host/ping': { ...ADMIN, payload: {} },
  'GET /v1/registries/:host/profile': REGISTRIES,
  'DELETE /v1/registries/:host/profile': ADMIN,
  'GET /v1/queues': SYSTEM,
  'GET /v1/queues/:host': SYSTEM,
  'POST /v1/queues/:host/pause': { scopes: ['system:admin'], payload: {} },
  'POST /v1/queues/:host/resume': { scopes: ['system:admin'], payload: {} },

  'GET /v1/session': { scopes: 'known' },
  'POST /v1/session': { scopes: 'known' },
  'DELETE /v1/session': { scopes: 'known' },
  'GET /v1/session/login': OPEN,
  'GET /v1/session/callback': OPEN,

  'GET /v1/catalog': { scopes: PACKAGES },
  'GET /v1/catalog/versions': { scopes: PACKAGES, query: '?ref={ref}' },
  'GET /v1/catalog/registries': REGISTRIES,
  'GET /v1/catalog/registries/:host': REGISTRIES,
  'PUT /v1/catalog/registries/:host': { ...ADMIN, payload: {} },
  'DELETE /v1/catalog/registries/:host': ADMIN,
  'POST /v1/catalog/registries/:host/refresh': { ...ADMIN, payload: {} },

  'GET /v1/policies': POLICIES,
  'GET /v1/policies/:name': POLICIES,
  'PUT /v1/policies/:name': { scopes: ['policies:admin'], payload: {} },
  'DELETE /v1/policies/:name': { scopes: ['policies:admin'] },

  'GET /v1/audit': { scopes: ['audit:read'] },
  'GET /v1/system': SYSTEM,
  'GET /v1/system/settings': SYSTEM,
  'GET /v1/system/store-check': SYSTEM,
  'POST /v1/system/store-check': { scopes: ['system:admin'], payload: {} },
  'POST /v1/system/store-check/stop': { scopes: ['system:admin'], payload: {} },
  'GET /v1/stats': { scopes: ['system:read', 'system:admin'] },

  'GET /v1/workers': SYSTEM,
  'GET /v1/workers/:id': SYSTEM,
  'POST /v1/workers/:id/drain': { scopes: ['system:admin'], payload: {} },
  'POST /v1/workers/:id/resume': { scopes: ['system:admin'], payload: {} },

  'GET /v1/tokens': TOKENS,
  'POST /v1/tokens': { ...TOKENS, payload: {} },
  'GET /v1/tokens/:id': TOKENS,
  'DELETE /v1/tokens/:id': TOKENS,

  'GET /v1/keys': REGISTRIES,
  'GET /v1/keys/:name': REGISTRIES,
  'PUT /v1/keys/:name': { ...ADMIN, payload: {} },
  'DELETE /v1/keys/:name': ADMIN,
}

/** Told by nobody's route: what Swagger UI loads. */
export function isPagePart(url: string): boolean {
  return url.startsWith('/docs') && url !== '/docs/errors'
}

export function rowOf(method: string, url: string): AccessRow | undefined {
  return ACCESS_ROWS[`${method} ${url}`] ?? (method === 'HEAD' ? ACCESS_ROWS[`GET ${url}`] : undefined)
}
