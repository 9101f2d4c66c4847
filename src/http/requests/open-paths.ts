/** What probes call, and the interface's own description, which the source tells too. */
const OPEN = new Set(['/livez', '/readyz', '/version', '/', '/openapi.yaml', '/docs'])

/** What people open in a browser, by a link from anywhere: HTML that acts on nothing and stands in no frame. */
export function isPage(route: string | undefined): boolean {
  return route === '/' || route === '/docs' || route?.startsWith('/docs/') === true
}

/** A route that tells nothing secret: it needs no token, and answers whatever else is not there yet. */
export function isOpen(route: string | undefined): boolean {
  return route !== undefined && (OPEN.has(route) || route.startsWith('/docs/'))
}
