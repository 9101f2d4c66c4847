import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'
import { bareHost, isLocalName } from '../../lib/loopback.ts'

/** How close to this machine an address is: 0 public, 1 a private network, 2 this host, 3 nowhere a registry can be. */
export type Closeness = 0 | 1 | 2 | 3

/** Judges the literal only; a name other than localhost counts as public. `hostname` as URL.hostname gives it. */
export function closeness(hostname: string): Closeness {
  const host = bareHost(hostname)
  if (isLocalName(host)) return 2
  return isIP(host) === 0 ? 0 : addressCloseness(host)
}

/** Link-local, for one: where clouds hand out the machine's own passwords. */
const NOWHERE = new Set(['linkLocal', 'multicast', 'broadcast'])
const THIS_HOST = new Set(['loopback', 'unspecified'])

/** As ranges have it these are ordinary: Alibaba's, Azure's, AWS's, Google's and Oracle's services for their machines. */
const METADATA = new Set([
  '100.100.100.200',
  '168.63.129.16',
  '192.0.0.192',
  'fd00:c1::a9fe:a9fe',
  'fd00:ec2::254',
  'fd20:ce::254',
])

/** Of an IPv4 or IPv6 address: the closest that it may stand for. Source: IANA's special-purpose address registries, as ipaddr.js has them. */
export function addressCloseness(address: string): Closeness {
  return Math.max(...unwrapped(ipaddr.parse(address)).map(rangeCloseness)) as Closeness
}

function rangeCloseness(address: ipaddr.IPv4 | ipaddr.IPv6): Closeness {
  const range = address.range()
  if (NOWHERE.has(range) || METADATA.has(address.toString())) return 3
  if (THIS_HOST.has(range)) return 2
  return range === 'unicast' ? 0 : 1
}

/** The IPv4 addresses that an IPv6 address may stand for, where it leads to one. */
function unwrapped(address: ipaddr.IPv4 | ipaddr.IPv6): ReadonlyArray<ipaddr.IPv4 | ipaddr.IPv6> {
  if (!(address instanceof ipaddr.IPv6)) return [address]
  const words = address.parts
  if (address.range() === 'teredo') return [embedded(~(words[6] ?? 0), ~(words[7] ?? 0))]
  if (words[0] === 0x2002) return [embedded(words[1], words[2])]
  if (address.match(LOCAL_NAT64)) return locallyTranslated(words)
  const compatible = words.slice(0, 6).every((word) => word === 0) && !THIS_HOST.has(address.range())
  return compatible || TRANSLATED.some((prefix) => address.match(prefix)) ? [embedded(words[6], words[7])] : [address]
}

/** Mapped, SIIT, NAT64 by the well-known prefix, and what was once "IPv4-compatible". RFC 6052, 4291. */
const TRANSLATED = ['::ffff:0:0/96', '::ffff:0:0:0/96', '64:ff9b::/96'].map((text) => ipaddr.IPv6.parseCIDR(text))
/** RFC 8215. */
const LOCAL_NAT64 = ipaddr.IPv6.parseCIDR('64:ff9b:1::/48')

/**
 * By a prefix of 96 bits out of the 48, and by all 48, where eight bits in the middle are left out (RFC 6052): nobody but
 * the translator knows which. All zeros is the place that it does not use.
 */
function locallyTranslated(words: readonly number[]): ipaddr.IPv4[] {
  const [, , , third = 0, fourth = 0, fifth = 0, sixth, seventh] = words
  const last = embedded(sixth, seventh)
  const used = [last, embedded(third, (fourth << 8) | (fifth >> 8))].filter((found) => found.toString() !== '0.0.0.0')
  return used.length === 0 ? [last] : used
}

function embedded(high = 0, low = 0): ipaddr.IPv4 {
  return new ipaddr.IPv4([(high >> 8) & 0xff, high & 0xff, (low >> 8) & 0xff, low & 0xff])
}
