import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import type { Problem } from '../../src/jobs/model/definitions.ts'
import { packageFiles, pullFrom, putPackage } from '../helpers/packages/pulling.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { startApp } from '../helpers/streams/http-app.ts'
import { tokensFileOf } from '../helpers/streams/tokens.ts'
import { waitFor } from '../helpers/wait-for.ts'

const by = (who: string) => ({ authorization: `Bearer ${who}` })

test('looks of one caller at a registry that does not answer leave those of others, and have a bound', async (t) => {
  const asked = { count: 0 }
  const silent = createServer(() => void (asked.count += 1))
  await new Promise<void>((resolve) => void silent.listen(0, '127.0.0.1', resolve))
  t.after(() => silent.closeAllConnections())
  t.after(() => silent.close())
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  putPackage(registry, { repository: 'team/sample', tag: '1.0.0' }, packageFiles({}))
  const tokensFile = await tokensFileOf(t, { ann: '*', bob: '*' })
  const bed = await startApp(t, { tokensFile, lookLimits: { all: 2, perPrincipal: 1, waiting: 1 } })
  const api = await bed.listen()
  const stop = new AbortController()
  t.after(() => stop.abort())
  const host = `127.0.0.1:${(silent.address() as AddressInfo).port}`
  const look = (who: string, ref: string) =>
    fetch(`${api}/v1/remote-packages?ref=${encodeURIComponent(ref)}`, { headers: by(who), signal: stop.signal })
  const hung = look('ann', `oci://${host}/team/sample:1.0.0`).catch(() => undefined)
  await waitFor('the registry to be asked', async () => asked.count > 0)
  const more = [1, 2].map(() => look('ann', `oci://${registry.host}/team/sample:1.0.0`).catch(() => undefined))
  // One waits, and whichever comes second is refused.
  const refused = await Promise.race(more)
  assert.ok(refused)
  assert.deepEqual([refused.status, refused.headers.get('retry-after')], [429, '5'])
  assert.equal(((await refused.json()) as Problem).code, 'LOOKS_TOO_MANY')
  const other = await look('bob', `oci://${registry.host}/team/sample:1.0.0`)
  assert.equal(other.status, 200, await other.text())
  stop.abort()
  await Promise.all([hung, ...more])
})

test('downloads of one caller leave those of others; one that ends makes room', async (t) => {
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  const layers = packageFiles({ 'components/one.tar': randomBytes(48 * 2 ** 20) })
  const digest = putPackage(registry, { repository: 'team/sample', tag: '1.0.0' }, layers)
  const tokensFile = await tokensFileOf(t, { ann: '*', bob: '*' })
  const bed = await startApp(t, { tokensFile, downloadLimits: { perPrincipal: 1, all: 2 } })
  await pullFrom(t, `${registry.host}/team/sample:1.0.0`, { architecture: 'amd64', store: bed.store, owner: 'ann' })
  const url = `${await bed.listen()}/v1/packages/${digest}/archive`
  const download = async (who: string, method = 'GET') => {
    const asked = request(url, { method, headers: by(who), agent: false }).end()
    const [answer] = (await once(asked, 'response')) as [IncomingMessage]
    const stop = () => void answer.on('error', () => undefined).destroy()
    t.after(stop)
    const refused = answer.statusCode === 429
    const code = refused ? ((await new Response(Readable.toWeb(answer)).json()) as Problem).code : undefined
    return { status: answer.statusCode, code, retryAfter: answer.headers['retry-after'], stop }
  }
  const first = await download('ann')
  assert.equal(first.status, 200)
  const second = await download('ann')
  assert.deepEqual([second.status, second.code, second.retryAfter], [429, 'DOWNLOADS_TOO_MANY', '5'])
  assert.equal((await download('ann', 'HEAD')).status, 200, 'what sends no bytes has no place')
  assert.equal((await download('bob')).status, 200)
  first.stop()
  await waitFor('a place to be free', async () => (await download('ann')).status === 200)
})
