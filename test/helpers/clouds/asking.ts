import { inspect } from 'node:util'
import { createClouds, type CloudsOptions } from '../../../src/oci/credentials/clouds/clouds.ts'
import type { CloudSecret } from '../../../src/content/clouds.ts'
import { COMMON_WAY, type ConnectionsOptions } from '../../../src/oci/connections.ts'
import type { RegistryCredential } from '../../../src/oci/credentials/provider.ts'
import { type Cleanup, defer } from '../cleanup.ts'
import { connect } from '../registries/transport.ts'

/** A process's clouds over connections of its own; one secret is one record. */
export function cloudsOf(
  t: Cleanup,
  { env = {}, clock, connections = {} }: Partial<CloudsOptions> & { connections?: Partial<ConnectionsOptions> } = {},
) {
  const clouds = createClouds({ call: connect(t, connections).cloud, env, ...(clock ? { clock } : {}) })
  return (registry: string, secret: CloudSecret, refused?: RegistryCredential) => {
    const place = { id: JSON.stringify([registry, secret]), registry, plainHttp: false, way: COMMON_WAY }
    return clouds.credential(place, secret, { refused, signal: new AbortController().signal })
  }
}

/** Variables that AWS's SDK reads by itself, until the test ends. */
export function setEnv(t: Cleanup, env: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(env)) {
    const before = process.env[name]
    process.env[name] = value
    defer(t, () => {
      if (before === undefined) delete process.env[name]
      else process.env[name] = before
    })
  }
}

/** All that an error has to say. */
export function toldBy(error: Error): string {
  return inspect(error, { depth: 10 })
}
