import { closest, distance } from 'fastest-levenshtein'
import type { Env } from './secrets.ts'

/** A name in the environment that looks like a setting and is none. */
export interface UnknownName {
  name: string
  /** What was most likely meant. */
  suggestion?: string
}

/** Of the scripts around the program. */
const OTHERS: ReadonlySet<string> = new Set(['LAYERD_NO_SETUP'])
/** What Kubernetes sets in each container for the port of a service named layerd, or layerd-something. */
const SERVICE_PORT = /_PORT_\d{1,5}_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?$/
/** `LAYERD_PORT=tcp://10.0.0.1:8420`, which one who means a port would not write. */
const SERVICE_ADDRESS = /^(?:tcp|udp|sctp):\/\//
/** Further apart, a suggestion would be a guess. */
const MAX_DISTANCE = 5

/** Names that begin as settings do and that nobody reads; `known` are those that are read. */
export function unknownNames(env: Env, known: readonly string[]): UnknownName[] {
  const readable = new Set(known)
  return Object.keys(env)
    .filter((name) => name.startsWith('LAYERD_') && !readable.has(name) && !OTHERS.has(name))
    .filter((name) => !isOfKubernetes(name, env[name] ?? ''))
    .map((name) => {
      const nearest = known.length === 0 ? '' : closest(name, [...known])
      return distance(name, nearest) <= MAX_DISTANCE ? { name, suggestion: nearest } : { name }
    })
}

export function unknownNameText({ name, suggestion }: UnknownName): string {
  return `${name} is no setting of layerd and has no effect${suggestion === undefined ? '' : `; ${suggestion} is one`}`
}

function isOfKubernetes(name: string, value: string): boolean {
  if (name.endsWith('_SERVICE_HOST') || name.includes('_SERVICE_PORT') || SERVICE_PORT.test(name)) return true
  return name.endsWith('_PORT') && SERVICE_ADDRESS.test(value)
}
