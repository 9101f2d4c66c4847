import { createHash } from 'node:crypto'
import { type ConnectionsOptions, createRegistryConnections } from '../../../src/oci/connections.ts'
import type {
  RegistryConnections,
  RegistryRequest,
  RegistryTransport,
  Scope,
} from '../../../src/oci/request/transport.ts'
import { type Cleanup, defer } from '../cleanup.ts'

/** Connections of one's own, closed when the test ends. */
export function connect(t: Cleanup, options: Partial<ConnectionsOptions> = {}): RegistryConnections {
  const connections = createRegistryConnections({ version: '0.0.0-test', ...options })
  defer(t, async () => await connections[Symbol.asyncDispose]())
  return connections
}

const scopes: readonly Scope[] = [{ repository: 'some/package', actions: ['pull', 'push'] }]

/** A GET on the control lane; `more` makes it another. */
export function request(target: string | URL, more: Partial<RegistryRequest> = {}): RegistryRequest {
  return { method: 'GET', target, scopes, lane: 'control', op: 'look', signal: new AbortController().signal, ...more }
}

/** POST and PUT with the content as a stream; its digest. */
export async function push(transport: RegistryTransport, repository: string, content: Buffer): Promise<string> {
  const scopes: readonly Scope[] = [{ repository, actions: ['pull', 'push'] }]
  const digest = `sha256:${createHash('sha256').update(content).digest('hex')}`
  const target = `/v2/${repository}/blobs/uploads/`
  const opened = await transport.send(request(target, { method: 'POST', op: 'open upload', scopes }))
  await opened.discard()
  const location = new URL(opened.header('Location') ?? '', opened.url)
  location.searchParams.set('digest', digest)
  const put = await transport.send(
    request(location, {
      method: 'PUT',
      op: 'push blob',
      lane: 'bulk',
      scopes,
      body: async function* () {
        yield content
      },
      contentLength: content.length,
      headers: { 'content-type': 'application/octet-stream' },
    }),
  )
  await put.discard()
  return digest
}
