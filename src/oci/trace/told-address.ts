import { isDigest } from '../../content/digest.ts'
import { redactUrl } from '../../lib/redact.ts'
import { type CallFacts, isOurs } from '../errors/errors.ts'

/** What layerd adds to addresses that were told to it, but for the user's name. */
const ADDED = new Set(['digest', 'service', 'scope'])
/** What redactUrl puts in place of a query. */
const CUT = '?…'

/** The address of a request that we chose ourselves, as a whole; undefined for one that was told to us. */
export function ownAddress(facts: CallFacts): string | undefined {
  const { url, asked } = facts
  const { pathname, search } = url
  if (!isOurs(facts, url)) return undefined
  return asked === `${pathname}${search}` ? `${url.origin}${asked}` : cutAddress(url)
}

/** An address that the far end chose, with nothing of its query but what we add to such; the path may still hold anything. */
export function cutAddress(url: URL): string {
  const cut = redactUrl(url)
  if (!cut.endsWith(CUT)) return cut
  const { searchParams } = url
  const added = [...searchParams].filter(([name, value]) => ADDED.has(name) && (name !== 'digest' || isDigest(value)))
  const query = added.map(([name, value]) => `${name}=${escaped(value)}`)
  const parts = query.length === searchParams.size ? query : ['…', ...query]
  return `${cut.slice(0, -CUT.length)}?${parts.join('&')}`
}

/** Scopes and digests stay readable. */
function escaped(value: string): string {
  return encodeURIComponent(value.toWellFormed()).replace(/%3A|%2F|%2C/g, decodeURIComponent)
}
