import { randomUUID } from 'node:crypto'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { parseDigest } from '../../src/content/digest.ts'
import { parseDestination, parseReference } from '../../src/content/reference.ts'
import { createRegistryConnections } from '../../src/oci/connections.ts'
import { createRegistryClient } from '../../src/oci/registry.ts'
import { createContentStore } from '../../src/store/content-store.ts'
import { publish } from '../../src/transfer/publish.ts'
import { pull } from '../../src/transfer/pull.ts'
import { fileBytes } from '../../src/zarf/file-bytes.ts'
import { openPackage } from '../../src/zarf/package.ts'

/**
 * layerd's engine as one process, the same code that a worker runs, so that its cost is read like a peer's:
 *   node engine.ts publish PACKAGE DESTINATION | pull REFERENCE FOLDER | push-blob FILE DIGEST SIZE HOST REPOSITORY
 */
const [command = '', ...args] = process.argv.slice(2)
const { signal } = new AbortController()
const connections = createRegistryConnections({ version: 'bench' })
const client = createRegistryClient({
  connections,
  credentials: { credential: async () => undefined },
  plainHttp: () => false,
  signal,
})
const repository = (registry: string, name: string) => client.repository(registry, name)
const counted = { wire: 0 }
const onEvent = (event: { type: string; wire?: number }) => {
  if (event.type === 'bytes') counted.wire += event.wire ?? 0
}

if (command === 'publish') {
  const [path = '', destination = '', concurrency = '6'] = args
  await using opened = await openPackage(path, { signal })
  await publish(
    { package: opened, destination: parseDestination(destination), scan: false, concurrency: Number(concurrency) },
    { repository, checkOwnership: async () => undefined, lockTag: (_, task) => task(signal), onEvent, signal },
  )
} else if (command === 'pull') {
  const [reference = '', folder = ''] = args
  const store = await createContentStore({ folder: join(folder, `store-${randomUUID()}`) })
  await pull(
    { reference: parseReference(reference), destination: { kind: 'store' }, overwrite: false, concurrency: 6 },
    { repository, checkOwnership: async () => undefined, store, onEvent, signal },
  )
} else if (command === 'push-blob') {
  const [file = '', digest = '', size = '0', host = '', name = ''] = args
  const descriptor = { mediaType: 'application/octet-stream', digest: parseDigest(digest), size: Number(size) }
  const destination = await repository(host, name)
  const handle = await open(file)
  const bytes = (start: number) => fileBytes(handle, { start, end: Number(size), name: file, signal })
  await destination.push(descriptor, async ({ offset = 0 }) => bytes(offset), { signal, onEvent })
} else {
  throw new Error(`engine.ts does not know "${command}"`)
}
await connections[Symbol.asyncDispose]()
process.stdout.write(`${JSON.stringify({ wire: counted.wire })}\n`)
process.exit(0)
