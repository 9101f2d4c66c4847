import assert from 'node:assert/strict'
import type { LookupFunction } from 'node:net'
import type { ConnectionsOptions } from '../../../src/oci/connections.ts'
import { fixedCredentials } from '../../../src/oci/credentials/fixed.ts'
import type { CredentialProvider } from '../../../src/oci/credentials/provider.ts'
import { type PingOptions, type PingReport, pingRegistry } from '../../../src/oci/ping/ping.ts'
import { ANYWHERE } from '../../../src/oci/request/outbound.ts'
import type { Cleanup } from '../cleanup.ts'
import { connect } from './transport.ts'

export interface TestPing extends Partial<Omit<PingOptions, 'connections'>>, Pick<ConnectionsOptions, 'timeouts'> {
  user?: string
  password?: string
}

/** What a caller with these credentials is told of `host[:port][/repository]`. */
export async function ping(t: Cleanup, place: string, options: TestPing = {}): Promise<PingReport> {
  const { user, password = '', timeouts = {}, lookup, proxy, policy = ANYWHERE, ...rest } = options
  const [registry = '', ...path] = place.split('/')
  const nobody: CredentialProvider = { find: async () => undefined }
  const shared = { policy, ...(lookup ? { lookup } : {}), ...(proxy ? { proxy } : {}) }
  return pingRegistry(
    { registry, repository: path.length === 0 ? undefined : path.join('/') },
    {
      connections: connect(t, { ...shared, timeouts }),
      credentials: user === undefined ? nobody : fixedCredentials(registry, { username: user, password }),
      plainHttp: false,
      signal: new AbortController().signal,
      ...shared,
      ...rest,
    },
  )
}

/** `failed`, and what was said. */
export function found(report: PingReport, name: string): string {
  const check = report.checks.find((one) => one.name === name)
  assert.ok(check, `no check of ${name}: ${JSON.stringify(report.checks)}`)
  return [check.state, check.detail, ...(check.hint === undefined ? [] : [check.hint])].join(' | ')
}

export function states(report: PingReport): Record<string, string> {
  return Object.fromEntries(report.checks.map(({ name, state }) => [name, state]))
}

/** A DNS that knows one name. */
export function nameAt(name: string, ...addresses: string[]): LookupFunction {
  return (hostname, options, callback) => {
    const unknown = Object.assign(new Error(`no ${hostname}`), { code: 'ENOTFOUND' })
    if (hostname !== name) return callback(unknown, '', 4)
    const all = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
    const [first = { address: '', family: 4 }] = all
    return options.all ? callback(null, all) : callback(null, first.address, first.family)
  }
}
