/** localhost, 127.0.0.0/8 or ::1; `hostname` without a port. */
export function isLoopback(hostname: string): boolean {
  const host = bareHost(hostname)
  return isLocalName(host) || /^127\.\d+\.\d+\.\d+$/.test(host) || host === '::1' || host.startsWith('::ffff:7f')
}

/** A name that RFC 6761 6.3 keeps for this machine. */
export function isLocalName(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost')
}

/** Without brackets and the root's dot, in lower case. */
export function bareHost(hostname: string): string {
  return hostname
    .toLowerCase()
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/\.$/, '')
}
