/** What probes call, and the interface's own description, which the source tells too. */
const OPEN = new Set(['/livez', '/readyz', '/version', '/', '/openapi.yaml', '/docs'])

/** A route that tells nothing secret: it needs no token, and answers whatever else is not there yet. */
export function isOpen(route: string | undefined): boolean {
  return route !== undefined && (OPEN.has(route) || route.startsWith('/docs/'))
}
