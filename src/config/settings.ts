import { redactUrl } from '../lib/redact.ts'
import { type Config, Environment, SECRETS, type SettingName } from './config.ts'
import { readProxies } from './proxies.ts'
import type { Env } from './secrets.ts'
import type { Shape } from './shape.ts'

/** A setting as it is in force, without anything that is a secret. */
export interface Setting {
  readonly name: string
  /** As the environment would write it: paths absolute, URLs without credentials. null: not set, or a secret. */
  readonly value: string | null
  /** file: read from the file that NAME_FILE names. */
  readonly from: 'default' | 'environment' | 'file'
  /** Its value is never told. */
  readonly secret: boolean
  readonly description: string
}

/** Nothing of them is told but whether they are set. */
const HIDDEN: ReadonlySet<SettingName> = new Set<SettingName>(['LAYERD_TOKEN', 'LAYERD_OIDC_CLIENT_SECRET'])

/** Where what holds is more than the environment says: a default that is worked out, a path that is made absolute. */
const WORKED_OUT: Partial<Record<SettingName, (config: Config) => string | undefined>> = {
  LAYERD_DATA_DIR: ({ dataDir }) => dataDir,
  LAYERD_SECRET_KEY_FILE: ({ secretKeyFile }) => secretKeyFile,
  LAYERD_FILE_ROOTS: ({ fileRoots }) => fileRoots.join(':'),
  LAYERD_POLICY_FILE: ({ policyFile }) => policyFile,
  LAYERD_TRUSTED_ROOTS: ({ trustedRoots }) => trustedRoots,
  LAYERD_AUDIT_FILE: ({ auditFile }) => auditFile,
  LAYERD_OIDC_AUDIENCE: ({ oidc }) => oidc?.audience,
  LAYERD_OIDC_GROUPS_FILE: ({ oidc }) => oidc?.groupsFile,
}

/** What is not layerd's own to define, and read all the same. */
const OF_OTHERS = {
  HTTP_PROXY: 'The proxy of plain HTTP.',
  HTTPS_PROXY: 'The proxy of HTTPS.',
  NO_PROXY: 'Hosts that go without a proxy.',
  SSL_CERT_FILE: "Authorities that are believed, in place of the system's file.",
  SSL_CERT_DIR: "Folders of such, in place of the system's; separated by colons.",
  NODE_EXTRA_CA_CERTS: 'Authorities that are believed beside these.',
} as const

/** Every setting that a process with this environment has read, by name; `config` is what loadConfig made of it. Throws CONFIG_INVALID. */
export function settingsInForce(config: Config, env: Env): Setting[] {
  const names = Object.keys(Environment.properties) as SettingName[]
  const own = names.map((name) => settingOf(name, config, env))
  return [...own, ...othersOf(env)].toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

function settingOf(name: SettingName, config: Config, env: Env): Setting {
  const { description = '', default: standard }: Shape = Environment.properties[name]
  const from = originOf(name, env)
  const secret = HIDDEN.has(name)
  if (secret) return { name, value: null, from, secret, description }
  const found = WORKED_OUT[name]?.(config) ?? textOf(name, config, env) ?? standard
  return { name, value: found === undefined ? null : shown(String(found)), from, secret, description }
}

function originOf(name: SettingName, env: Env): Setting['from'] {
  if (env[name]?.trim()) return 'environment'
  return SECRETS.has(name) && env[`${name}_FILE`] ? 'file' : 'default'
}

/** Of what may lie in a file the environment does not tell it. */
function textOf(name: SettingName, config: Config, env: Env): string | undefined {
  return (name === 'LAYERD_REDIS_URL' ? config.redisUrl : env[name]) || undefined
}

function othersOf(env: Env): Setting[] {
  const { http, https, no } = readProxies(env)
  const read: Readonly<Record<string, string | undefined>> = { HTTP_PROXY: http, HTTPS_PROXY: https, NO_PROXY: no }
  return Object.entries(OF_OTHERS).map(([name, description]) => {
    const text = (name in read ? read[name] : env[name]) || undefined
    const from = text === undefined ? ('default' as const) : ('environment' as const)
    return { name, value: text === undefined ? null : shown(text), from, secret: false, description }
  })
}

/** A URL without what may be a password in it; all else as it is. */
function shown(text: string): string {
  if (!/^[a-z][a-z0-9+.-]{0,31}:\/\//i.test(text)) return text
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isBare = url && url.username + url.password + url.search + url.hash === ''
  return isBare ? text : redactUrl(text)
}
