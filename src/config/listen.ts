import { isIP } from 'node:net'

/** Where the API listens. */
export interface ListenAddress {
  /** A name or an address; an IPv6 address without brackets. */
  readonly host: string
  /** 0 lets the system choose. */
  readonly port: number
}

/** Reads `host:port` and `[::1]:port`; undefined for anything else. */
export function parseListen(text: string): ListenAddress | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:[\]/\s]+)):(\d{1,5})$/.exec(text)
  if (!match) return undefined
  const [, bracketed, plain] = match
  const port = Number(match[3])
  if (port > 65_535 || (bracketed !== undefined && isIP(bracketed) !== 6)) return undefined
  return { host: bracketed ?? plain ?? '', port }
}

/** Whether only this machine can reach the address (RFC 1122 3.2.1.3, RFC 4291 2.5.3, RFC 6761 6.3). */
export function isLoopback({ host }: ListenAddress): boolean {
  if (isIP(host) === 4) return host.startsWith('127.')
  return host === '::1' || host.toLowerCase() === 'localhost'
}
