/** A registry that the environment names. */
export interface LivePlace {
  /** HOST or HOST/NAMESPACE, below which the repository layerd-live is. */
  readonly reference: string
  /** Default: nobody logs in. */
  readonly login?: { readonly username: string; readonly password: string }
}

export interface LiveSizes {
  /** MiB of the large package's one layer; 0 leaves that package out. */
  readonly largeMib: number
  /** Of the package with many of them. */
  readonly layers: number
}

/** Either of the two is there. `place` names a registry, `skip` says which variables are missing. */
export interface LiveChoice {
  /** As in the variables: LAYERD_LIVE_<name>_REFERENCE. */
  readonly name: string
  readonly place?: LivePlace
  readonly skip?: string
}

/** Those that the nightly run is there for: each is told when it is left out. */
const EXPECTED = ['HUB', 'GHCR', 'ECR']
const NAME = /^LAYERD_LIVE_([A-Z0-9_]+)_REFERENCE$/

/**
 * What LAYERD_LIVE_<NAME>_REFERENCE, _USERNAME and _PASSWORD name, those that are expected first. An empty value is none: so
 * come the secrets of a build service that has none.
 */
export function liveRegistries(env: Readonly<Record<string, string | undefined>>): LiveChoice[] {
  const named = Object.keys(env).flatMap((key) => NAME.exec(key)?.[1] ?? [])
  const names = [...EXPECTED, ...named.filter((name) => !EXPECTED.includes(name)).toSorted()]
  return names.map((name) => choice(name, env))
}

function choice(name: string, env: Readonly<Record<string, string | undefined>>): LiveChoice {
  const variable = (field: string) => `LAYERD_LIVE_${name}_${field}`
  const missing = ['REFERENCE', 'USERNAME', 'PASSWORD'].map(variable).filter((key) => !env[key])
  const [reference = '', username = '', password = ''] = ['REFERENCE', 'USERNAME', 'PASSWORD'].map(
    (field) => env[variable(field)] ?? '',
  )
  if (missing.length > 0) return { name, skip: `not set: ${missing.join(', ')}` }
  return { name, place: { reference, login: { username, password } } }
}

/** LAYERD_LIVE_LARGE (MiB, default 64) and LAYERD_LIVE_LAYERS (default 100). Throws where one is no whole number. */
export function liveSizes(env: Readonly<Record<string, string | undefined>>): LiveSizes {
  return { largeMib: wholeNumber(env, 'LAYERD_LIVE_LARGE', 64), layers: wholeNumber(env, 'LAYERD_LIVE_LAYERS', 100) }
}

function wholeNumber(env: Readonly<Record<string, string | undefined>>, key: string, otherwise: number): number {
  const text = env[key] || String(otherwise)
  if (!/^\d{1,6}$/.test(text)) throw new Error(`${key} is no whole number: ${text}`)
  return Number(text)
}
