import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { PackageLink } from '../../src/http/schemas/package.ts'
import { packageFiles, pullFrom, putPackage } from '../helpers/packages/pulling.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { type App } from '../../src/http/app.ts'
import { startApp } from '../helpers/streams/http-app.ts'
import { ask, tokensFor, WORKS, writeTokens } from '../helpers/streams/principals.ts'
import { waitFor } from '../helpers/wait-for.ts'

/** Far more than two sockets' buffers hold. */
const LAYER_BYTES = 48 * 2 ** 20

async function withLargePackage(t: TestContext) {
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  const layers = packageFiles({ 'components/one.tar': randomBytes(LAYER_BYTES) })
  const digest = putPackage(registry, { repository: 'team/sample', tag: '1.0.0' }, layers)
  const tokensFile = await tokensFor(t, { ada: WORKS, bob: WORKS })
  const started = await startApp(t, { tokensFile })
  const { app, store, listen } = started
  await pullFrom(t, `${registry.host}/team/sample:1.0.0`, { architecture: 'amd64', store, owner: 'ada' })
  const { port } = new URL(await listen())
  const made = await ask(app, 'ada', { method: 'POST', url: `/v1/packages/${digest}/links` })
  return {
    app,
    tokensFile,
    port: Number(port),
    archive: `/v1/packages/${digest}/archive`,
    link: made.json<PackageLink>().url,
  }
}

/** Asks, and takes the head of the answer alone. */
async function begin(t: TestContext, port: number, path: string, headers: string[] = []) {
  const socket = connect(port, '127.0.0.1')
  t.after(() => socket.destroy())
  socket.on('error', () => undefined)
  socket.write(
    `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n${headers.map((line) => `${line}\r\n`).join('')}\r\n`,
  )
  await once(socket, 'readable')
  const head = String(socket.read(15))
  return { head, socket }
}

const connections = (app: App) =>
  new Promise<number>((resolve, reject) =>
    app.server.getConnections((error, count) => (error ? reject(error) : resolve(count))),
  )

test('a download ends with the token that let it in, and by a link with that of who made it', async (t) => {
  const { app, tokensFile, port, archive, link } = await withLargePackage(t)
  const begun = [await begin(t, port, link), await begin(t, port, archive, ['Authorization: Bearer token-of-ada'])]
  assert.deepEqual(
    begun.map(({ head }) => head),
    ['HTTP/1.1 200 OK', 'HTTP/1.1 200 OK'],
  )
  assert.equal(await connections(app), 2)
  await writeTokens(tokensFile, { bob: WORKS })
  await waitFor('both downloads to be cut', async () => (await connections(app)) === 0)
  for (const { socket } of begun) {
    let bytes = 0
    for await (const chunk of socket.resume()) bytes += (chunk as Buffer).length
    assert.ok(bytes < LAYER_BYTES, `${bytes} of ${LAYER_BYTES}`)
  }
})
