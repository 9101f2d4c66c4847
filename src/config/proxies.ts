import { AppError } from '../lib/errors.ts'
import { unescapable } from './escapes.ts'
import type { Env } from './secrets.ts'

/** Proxies as URLs, and the hosts that go without as the environment lists them. */
export interface Proxies {
  http?: string
  https?: string
  no?: string
}

const NAMES = { http: ['http_proxy', 'HTTP_PROXY'], https: ['https_proxy', 'HTTPS_PROXY'] } as const

/**
 * HTTP_PROXY, HTTPS_PROXY and NO_PROXY, in small letters first, as curl and Go read them: one without a scheme is spoken to in
 * plain HTTP. Throws CONFIG_INVALID, which names the variable and never repeats what may be a password.
 */
export function readProxies(env: Env): Proxies {
  const http = proxyOf(env, NAMES.http)
  const https = proxyOf(env, NAMES.https)
  const no = env['no_proxy'] || env['NO_PROXY']
  return { ...(http ? { http } : {}), ...(https ? { https } : {}), ...(no ? { no } : {}) }
}

function proxyOf(env: Env, names: readonly string[]): string | undefined {
  const name = names.find((each) => env[each]?.trim())
  const text = name === undefined ? undefined : env[name]?.trim()
  if (name === undefined || text === undefined) return undefined
  const full = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`
  const wrong = (why: string) =>
    new AppError('CONFIG_INVALID', `${name}: ${why}`, {
      hint: 'It is host:port, or http://user:password@host:port.',
      details: { setting: name },
    })
  const parsed = URL.canParse(full) ? new URL(full) : undefined
  // What stands after the password's "#" is no host's: the parser took the password's begin for a port.
  const strays = ['#', '/', '?'].filter((sign) =>
    text
      .replace(/^[^/]*\/\//, '')
      .split('@')[0]
      ?.includes(sign),
  )
  if (text.includes('@') && strays.length > 0) {
    throw wrong('a "#", "/" or "?" in its user or password must be written %23, %2F or %3F')
  }
  if (!parsed || !['http:', 'https:'].includes(parsed.protocol)) {
    throw wrong('must be host:port, or a URL that begins with http:// or https://')
  }
  if (unescapable(parsed)) throw wrong('a "%" in its user or password must be written %25')
  return parsed.href
}
