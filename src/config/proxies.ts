import { AppError } from '../lib/errors.ts'
import { PROXY_FORM, readProxyUrl } from '../lib/formats/proxy-url.ts'
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
  const read = readProxyUrl(text)
  if ('url' in read) return read.url
  throw new AppError('CONFIG_INVALID', `${name}: ${read.why}`, { hint: PROXY_FORM, details: { setting: name } })
}
