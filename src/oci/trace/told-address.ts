import { isDigest } from '../../content/digest.ts'
import { apiHost } from '../facts/registry-name.ts'
import { type CallFacts, toldText, toldUrl } from '../errors/errors.ts'

/** What layerd adds to addresses that were told to it, but for the user's name. */
const ADDED = new Set(['digest', 'service', 'scope'])
/** Of one that holds a whole upload state in its path, say. */
const MAX_LENGTH = 2000

/**
 * An address as a trace shows it: whole where we chose it ourselves, else with nothing of the query but what we added.
 * `shown`: secrets that the request showed.
 */
export function toldAddress(facts: CallFacts, url: URL, shown: readonly string[]): string {
  const told = toldUrl(facts, url, shown)
  if (!told.endsWith(CUT)) return told.slice(0, MAX_LENGTH)
  const before = told.slice(0, -CUT.length)
  const { pathname, search, host, searchParams } = url
  if (facts.asked === `${pathname}${search}` && host === apiHost(facts.registry)) return `${before}${search}`
  const added = [...searchParams].filter(([name, value]) => ADDED.has(name) && (name !== 'digest' || isDigest(value)))
  const query = added.map(([name, value]) => `${name}=${escaped(toldText(facts, value, shown))}`)
  const parts = query.length === searchParams.size ? query : ['…', ...query]
  return `${before}?${parts.join('&')}`.slice(0, MAX_LENGTH)
}

/** What redactUrl puts in place of a query. */
const CUT = '?…'

/** Scopes and digests stay readable. */
function escaped(value: string): string {
  return encodeURIComponent(value.toWellFormed()).replace(/%3A|%2F|%2C/g, decodeURIComponent)
}
