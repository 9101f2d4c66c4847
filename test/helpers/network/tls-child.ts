import process from 'node:process'
import { toAppError } from '../../../src/lib/errors.ts'
import { createRegistryConnections } from '../../../src/oci/connections.ts'
import { request } from '../registries/transport.ts'

/** node tls-child.ts HOST: asks a registry, prints status and scheme, or the error's code. */
await using connections = createRegistryConnections({ version: '0.0.0-test' })
const credential = { kind: 'basic', username: 'ann', password: 'secret' } as const
const transport = connections.transport(process.argv[2] ?? '', { credential, plainHttp: false })
try {
  const response = await transport.send(request('/v2/some/package/tags/list'))
  await response.discard()
  console.log(response.status, response.url.protocol)
} catch (error) {
  console.log(toAppError(error).code)
}
