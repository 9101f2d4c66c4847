/** What probes call, and the interface's own description, which the source tells too. */
const OPEN = new Set(['/livez', '/readyz', '/version', '/', '/openapi.yaml', '/docs', '/assets/:name'])

/** Addresses of the dashboard's pages: its shell is the answer, and tells nothing; what it shows it asks of the API. */
export const DASHBOARD_PAGES = [
  '/jobs',
  '/jobs/:id',
  '/packages',
  '/packages/:digest',
  '/new',
  '/registries',
  '/system',
] as const

/** Pages, and the way to an OIDC issuer and back, which is a link from there. */
const PAGES = new Set<string | undefined>([
  '/',
  '/docs',
  '/v1/session/login',
  '/v1/session/callback',
  ...DASHBOARD_PAGES,
])

const SHELL = new Set<string>(DASHBOARD_PAGES)

/** What people open in a browser, by a link from anywhere: HTML that changes nothing for who did not want it, and stands in no frame. */
export function isPage(route: string | undefined): boolean {
  return PAGES.has(route) || route?.startsWith('/docs/') === true
}

/** What asks whether layerd lives, for ever and often. */
export function isProbe(route: string | undefined): boolean {
  return route === '/livez' || route === '/readyz' || route === '/version'
}

/** A route that tells nothing secret: it needs no token, and answers whatever else is not there yet. */
export function isOpen(route: string | undefined): boolean {
  return route !== undefined && (OPEN.has(route) || route.startsWith('/docs/') || SHELL.has(route))
}
