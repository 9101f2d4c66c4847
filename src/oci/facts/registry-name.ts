const HUB_NAMES = new Set(['docker.io', 'index.docker.io', 'registry-1.docker.io', 'registry.hub.docker.com'])

/** Docker Hub answers under another name than its references use. */
export function apiHost(registry: string): string {
  return HUB_NAMES.has(registry) ? 'registry-1.docker.io' : registry
}

/** Two names of one registry are equal in this form. Takes what docker login writes too: "https://index.docker.io/v1/". */
export function registryKey(name: string): string {
  const host = name.replace(/^https?:\/\//i, '').split('/', 1)[0] ?? ''
  return apiHost(host.toLowerCase())
}

/** What Docker's configuration and its helpers call a registry. Source: docker/cli cli/config/configfile. */
export function dockerConfigKey(registry: string): string {
  return HUB_NAMES.has(registry) ? 'https://index.docker.io/v1/' : registry
}
