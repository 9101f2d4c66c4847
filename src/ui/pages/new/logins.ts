/** For one job; kept in no place. */
export interface Login {
  username: string
  password: string
}

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
