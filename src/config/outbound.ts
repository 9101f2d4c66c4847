/** Which registries may be spoken to, and which of them may be in private networks or on this machine. */
export interface OutboundSettings {
  /** `host[:port]`, or `*.host[:port]` for all names below it; lower case. Undefined: all registries. */
  readonly allowed: readonly string[] | undefined
  /** Those that settings name: they may be anywhere. */
  readonly named: readonly string[]
  /** Whether those that callers name may be anywhere too; undefined: while nobody else can call, as layerd listens on loopback only. */
  readonly callersChoose: boolean | undefined
}

const YES = new Set(['true', 'yes', 'on', '1'])
const NO = new Set(['false', 'no', 'off', '0'])

/** A switch as people write it; undefined for anything else. */
export function parseSwitch(text: string): boolean | undefined {
  const word = text.trim().toLowerCase()
  if (YES.has(word)) return true
  return NO.has(word) ? false : undefined
}

const REGISTRY = /^[A-Za-z0-9.-]+(?::\d{1,5})?$|^\[[0-9A-Fa-f:.]+\](?::\d{1,5})?$/

/** A registry's name in a list, in lower case; undefined where it is none. `below`: `*.` in front stands for all names below it. */
export function registryEntry(text: string, below = false): string | undefined {
  const name = below && text.startsWith('*.') ? text.slice(2) : text
  return REGISTRY.test(name) ? text.toLowerCase() : undefined
}
