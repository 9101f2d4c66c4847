import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import { parseDestination } from '../../src/content/reference.ts'
import { readAll } from '../../src/content/streams.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { createLearnedFacts } from '../../src/oci/facts/learned-facts.ts'
import { createRepository } from '../../src/oci/registry.ts'
import { type FaultProxy, startFaultProxy } from '../helpers/network/fault-proxy.ts'
import { FIXTURES, publishedIndex, publishedManifest } from '../helpers/packages/fixtures.ts'
import { openRepository, recorder, someBytes, type TestBlob, testBlob } from '../helpers/registries/oci-client.ts'
import { publishTo } from '../helpers/packages/publishing.ts'
import { pullFrom, readPackage } from '../helpers/packages/pulling.ts'
import { skipWithout } from '../helpers/processes/real-tools.ts'
import { connect } from '../helpers/registries/transport.ts'
import { startZot, type Zot } from '../helpers/registries/zot.ts'

const MIB = 1024 * 1024
const { signal } = new AbortController()

test('a package goes to zot and comes back byte for byte, both architectures under one tag', async (t) => {
  if (skipWithout(t, 'zot')) return
  const zot = await startZot(t)
  const destination = parseDestination(`${zot.host}/team`)
  for (const path of [FIXTURES.nemoAmd64, FIXTURES.nemoArm64]) await publishTo(t, path, destination)
  const repository = await openRepository(t, zot.host, { repository: 'team/nemo' })
  const index = await repository.getManifest('1.2.0', { signal })
  assert.equal(index?.bytes.toString(), publishedIndex('nemo').toString())
  const { outcome, store } = await pullFrom(t, `oci://${zot.host}/team/nemo:1.2.0`, { architecture: 'amd64' })
  assert.equal(outcome.digest, digestOf(publishedManifest('nemo')))
  for (const [path, bytes] of (await readPackage(FIXTURES.nemoAmd64)).files) {
    assert.deepEqual(await readAll(await store.open(testBlob(bytes).descriptor, { signal })), bytes, path)
  }
  assert.equal(zot.sessions(), 0)
})

test('upload.cut-mid-patch.zot.session-gone: a cut takes the session, and the parts before it too', async (t) => {
  if (skipWithout(t, 'zot')) return
  const found = await scene(t, await startZot(t))
  for (const cutKeeps of [undefined, 'parts'] as const) {
    // As one request, then in parts, of which the second one breaks off.
    if (cutKeeps) found.learned.uploads.cutKeeps = cutKeeps
    const cut = found.proxy.fail({ up: 12 * MIB })
    const told = await pushed(found, 20 * MIB)
    assert.ok(cut.met)
    // One that asks before zot has noticed is told of bytes that are gone when it comes with the rest.
    assert.equal(told.starts().at(-1), 0)
    assert.ok(told.events.some(({ type }) => type === 'restarted'))
  }
})

for (const { what, writeTimeout, sizes } of [
  { what: 'a streamed PATCH gets no answer', writeTimeout: '0.5s', sizes: [9 * MIB, 7 * MIB] },
  { what: 'a PUT is answered with 500', writeTimeout: '60s', sizes: [7 * MIB, 9 * MIB] },
] as const) {
  test(`upload.server-deadline.zot.adapts: ${what} at its deadline, and smaller parts get through`, async (t) => {
    if (skipWithout(t, 'zot')) return
    // Time runs twenty times as fast for the client, so that it sees zot's deadline as 10 s.
    const zot = await startZot(t, { readTimeout: '0.5s', writeTimeout })
    const clock = { ...systemClock, now: () => Date.now() * 20 }
    const found = await scene(t, zot, { clock, bytesPerSecond: 8 * MIB })
    const first = await pushed(found, sizes[0])
    assert.ok(first.events.some(({ type }) => type === 'restarted'))
    await pushed(found, sizes[1])
    const { cutKeeps, bytesPerSecond = Infinity } = found.learned.uploads
    assert.equal(cutKeeps, 'nothing')
    assert.ok(bytesPerSecond < MIB, `${bytesPerSecond} bytes a second, by a clock that is twenty times as fast`)
  })
}

test('download.cut-at-60s.zot.resumes: an answer that zot ends at its deadline goes on by Range', async (t) => {
  if (skipWithout(t, 'zot')) return
  const zot = await startZot(t, { writeTimeout: '0.5s' })
  const blob = testBlob(someBytes(24 * MIB))
  await (await openRepository(t, zot.host)).push(blob.descriptor, blob.open, { signal })
  const proxy = await startFaultProxy(t, zot.host, { bytesPerSecond: 16 * MIB })
  const repository = await openRepository(t, proxy.host)
  assert.deepEqual(await readAll(await repository.open(blob.descriptor, { signal })), blob.bytes)
  const gets = zot.logs().match(/"method":"GET","path":"[^"]*\/blobs\/sha256:/g) ?? []
  assert.ok(gets.length > 1, 'zot cut nothing')
})

interface Scene {
  zot: Zot
  proxy: FaultProxy
  learned: ReturnType<typeof createLearnedFacts>
  push: (blob: TestBlob) => Promise<ReturnType<typeof recorder>>
}

/** zot behind a proxy, and a repository there. */
async function scene(
  t: TestContext,
  zot: Zot,
  { clock = systemClock, bytesPerSecond = Infinity } = {},
): Promise<Scene> {
  const proxy = await startFaultProxy(t, zot.host, { bytesPerSecond })
  const learned = createLearnedFacts()
  const repository = createRepository({
    transport: connect(t).transport(proxy.host, { credential: undefined, plainHttp: true }),
    repository: 'test/blobs',
    learned,
    retry: { attempts: 10, baseMs: 10, maxMs: 20, maxRetryAfterMs: 1000 },
    clock,
  })
  const push = async (blob: TestBlob) => {
    const told = recorder()
    await repository.push(blob.descriptor, blob.open, { signal, onEvent: told.onEvent })
    await repository.releasePush()
    return told
  }
  return { zot, proxy, learned, push }
}

let seed = 1

/** Pushes a blob of its own, checks that zot has it and no session beside it. */
async function pushed({ zot, push }: Scene, size: number): Promise<ReturnType<typeof recorder>> {
  const blob = testBlob(someBytes(size, ++seed))
  const told = await push(blob)
  const url = `${zot.url}/v2/test/blobs/blobs/${blob.descriptor.digest}`
  assert.deepEqual(Buffer.from(await (await fetch(url)).arrayBuffer()), blob.bytes)
  assert.equal(zot.sessions(), 0)
  return told
}
