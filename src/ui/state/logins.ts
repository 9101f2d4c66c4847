/** For one job; kept in no place. */
export interface Login {
  username: string
  password: string
}

export const NO_LOGIN: Readonly<Login> = { username: '', password: '' }

/** X-Registry-Auth as the Docker Engine takes it; several as a list. Undefined where nothing was said. */
export function registryAuthOf(logins: readonly (Login & { address: string })[]): string | undefined {
  const said = logins
    .filter(({ username, password }) => username !== '' || password !== '')
    .map(({ username, password, address }) => ({ username, password, serveraddress: address }))
  if (said.length === 0) return undefined
  const bytes = new TextEncoder().encode(JSON.stringify(said.length === 1 ? said[0] : said))
  const text = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''))
  return text.replaceAll('+', '-').replaceAll('/', '_')
}

export type Side = 'source' | 'destination'

/** Where a job talks to a registry. */
export function registrySidesOf({ source, destination }: { source: string; destination: string | null }): Side[] {
  const sides: Side[] = []
  if (source.startsWith('oci://')) sides.push('source')
  if (destination?.startsWith('oci://')) sides.push('destination')
  return sides
}

/** Of `oci://host[:port]/repository`, as a log-in names it. */
export function hostOf(address: string): string {
  return address.replace(/^oci:\/\//, '').split('/')[0] ?? ''
}
