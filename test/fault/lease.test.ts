import assert from 'node:assert/strict'
import { type AddressInfo, connect, createServer } from 'node:net'
import { test, type TestContext } from 'node:test'
import tls from 'node:tls'
import { AppError } from '../../src/lib/errors.ts'
import { createCertificate } from '../helpers/network/certificate.ts'
import { defer } from '../helpers/cleanup.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { openRepository, someBytes, testBlob } from '../helpers/registries/oci-client.ts'
import { startTlsFront } from '../helpers/network/tls-front.ts'
import { waitFor } from '../helpers/wait-for.ts'

const signal = new AbortController().signal
const certificate = createCertificate()
tls.setDefaultCACertificates([...tls.getCACertificates(), certificate.certPem])

/** Connections that open once `shut` is true pass nothing until `open` is called. */
async function startGate(t: TestContext, target: string) {
  const opened = Promise.withResolvers<void>()
  const gate = { host: '', shut: false, waiting: 0, open: opened.resolve }
  const server = createServer((client) => {
    const far = connect({ host: '127.0.0.1', port: Number(target.split(':')[1]) })
    for (const socket of [client, far]) socket.on('error', () => far.destroy() && client.destroy())
    far.pipe(client)
    if (gate.shut) gate.waiting += 1
    void (gate.shut ? opened.promise : Promise.resolve()).then(() => client.pipe(far))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  defer(t, () => new Promise((resolve) => server.close(() => resolve())))
  gate.host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  return gate
}

test('a caller that may send no more when the connection for its layer is there at last sends nothing over it', async (t) => {
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  const gate = await startGate(t, await startTlsFront(t, registry.host, certificate))
  let lost = false
  const repository = await openRepository(t, gate.host, {
    plainHttp: () => false,
    mayUse() {
      if (lost) throw new AppError('JOB_FENCED', 'another run goes on')
    },
  })
  await repository.preparePush({ signal })
  gate.shut = true
  const blob = testBlob(someBytes(4 * 1024 * 1024))
  const pushed = repository.push(blob.descriptor, blob.open, { signal })
  const refused = assert.rejects(pushed, { code: 'JOB_FENCED' })
  await waitFor('the connection for the layer to open', () => gate.waiting === 1)
  lost = true
  gate.open()
  await refused
  assert.deepEqual(
    registry.requests.map(({ method }) => method),
    ['GET', 'POST'],
  )
  assert.deepEqual(blob.opened, [])
})
