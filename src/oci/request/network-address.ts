import { BlockList, isIP } from 'node:net'
import { bareHost, isLocalName } from '../../lib/loopback.ts'

/** How close to this machine an address names itself: 0 a name or a public address, 1 a private network, 2 this host or link. */
export type Closeness = 0 | 1 | 2

const PRIVATE = blockList(['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10'], ['fc00::/7'])
const LOCAL = blockList(['0.0.0.0/8', '127.0.0.0/8', '169.254.0.0/16'], ['::/128', '::1/128', 'fe80::/10'])

/** Judges the literal only; a name other than localhost counts as public. `hostname` as URL.hostname gives it. */
export function closeness(hostname: string): Closeness {
  const host = bareHost(hostname)
  if (isLocalName(host)) return 2
  const family = isIP(host) === 6 ? 'ipv6' : 'ipv4'
  if (isIP(host) === 0) return 0
  if (LOCAL.check(host, family)) return 2
  return PRIVATE.check(host, family) ? 1 : 0
}

function blockList(v4: readonly string[], v6: readonly string[]): BlockList {
  const list = new BlockList()
  for (const subnet of v4) list.addSubnet(...parts(subnet), 'ipv4')
  for (const subnet of v6) list.addSubnet(...parts(subnet), 'ipv6')
  return list
}

function parts(subnet: string): [string, number] {
  const slash = subnet.indexOf('/')
  return [subnet.slice(0, slash), Number(subnet.slice(slash + 1))]
}
