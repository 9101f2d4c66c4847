import assert from 'node:assert/strict'
import { createHash, randomUUID } from 'node:crypto'
import { test } from 'node:test'
import type { Digest } from '../../src/content/digest.ts'
import type { Job } from '../../src/jobs/model/definitions.ts'
import { createDraws, type Draws } from '../helpers/access/draws.ts'
import { hiddenWords, isHidden, type Kept, partsLeft, type Walker, walkers } from '../helpers/access/walkers.ts'
import { storeSample } from '../helpers/packages/store-packages.ts'
import { startWorld, type World } from '../helpers/access/world.ts'

const REQUESTS = 2000
const TRAILING = ['', '/transfers', '/events', '/logs', '/trace.har']
const KINDS = ['job', 'job', 'package', 'package', 'upload'] as const
const COMMANDS = ['cancel', 'pause', 'resume', 'retry']
const UPLOAD_VIEWS = ['', '/package', '/package/definition', '/package/sizes']
const PACKAGE_VIEWS = ['', '/definition', '/files', '/images', '/signatures', '/archive']

interface Asked {
  method: string
  url: string
  payload?: object
  headers?: Record<string, string>
  /** The one thing it is about, which its answer must not tell of to who may not see it. */
  about?: Kept
}

/** What has been told so far, by anybody: whatever it is, others may send it. */
class Walk {
  readonly things: Kept[] = []
  readonly pageTokens: string[] = []
  readonly draws: Draws
  readonly world: World

  constructor(world: World, draws: Draws) {
    this.world = world
    this.draws = draws
  }

  async add(kind: Kept['kind'], { name: owner }: Walker): Promise<void> {
    const { world, draws } = this
    const secret = `canary${randomUUID().replaceAll('-', '')}`
    if (kind === 'upload') {
      this.things.push({ kind, id: await world.uploadOf(owner), parts: [{ owner, places: [], words: [] }] })
      return
    }
    const place = `${draws.one(['team', 'other'])}/${secret}`
    const part = { owner, places: [place], words: [secret] }
    const known = this.things.filter((thing) => thing.kind === 'package')
    if (kind === 'package') {
      const again = known.length > 0 && draws.oneIn(2) ? draws.one(known) : undefined
      const reference = `oci://${world.registry.host}/${place}:1.0.0`
      const layers = [Buffer.from(again?.id ?? secret)]
      const stored = again
        ? await pullAgain(world, again.id as Digest, { owner, reference })
        : (await storeSample(world.store, { name: 'sample', layers, owner, reference })).record.digest
      if (again) again.parts = [...again.parts, part]
      else this.things.push({ kind, id: stored, parts: [part] })
      return
    }
    const id = await world.jobOf(owner, { label: secret }, `oci://${world.registry.host}/${place}`)
    this.things.push({ kind, id, parts: [part] })
  }

  forget(thing: Kept): void {
    this.things.splice(this.things.indexOf(thing), 1)
  }
}

test(`${REQUESTS} random requests by five principals show nothing that is hidden from who asks`, async (t) => {
  const seed = Number(process.env['LAYERD_TEST_SEED'] ?? Date.now() % 1_000_000_000)
  t.diagnostic(`LAYERD_TEST_SEED=${seed}`)
  const people = (registry: string) => walkers(registry)
  const world = await startWorld(t, (registry) => Object.fromEntries(people(registry).map((one) => [one.token, one])))
  const all = people(world.registry.host)
  const walk = new Walk(world, createDraws(seed))
  const owners = all.filter(({ owns }) => owns)
  for (const owner of owners) for (const kind of KINDS) await walk.add(kind, owner)
  const hiddenOnes = { told: 0 }
  for (let at = 0; at < REQUESTS; at++) {
    const { draws } = walk
    if (draws.oneIn(20)) await walk.add(draws.one(KINDS), draws.one(owners))
    await step(walk, draws.one(all), hiddenOnes).catch((error: unknown) => {
      throw new Error(`request ${at} of LAYERD_TEST_SEED=${seed}`, { cause: error })
    })
  }
  // Else nothing was tried.
  assert.ok(hiddenOnes.told > REQUESTS / 20, `${hiddenOnes.told} requests were about something hidden`)
})

async function step(walk: Walk, who: Walker, hiddenOnes: { told: number }): Promise<void> {
  const asked = draw(walk)
  const hidden = asked.about !== undefined && isHidden(who, asked.about)
  const answer = await send(walk, who, asked)
  const said = `${JSON.stringify(answer.headers)}\n${answer.body}`
  const sent = `${asked.url} ${JSON.stringify(asked.payload ?? {})}`
  const told = decoded(said)
  for (const word of hiddenWords(who, walk.things)) {
    if (!sent.includes(word))
      assert.ok(!told.includes(word), `${who.name}: ${asked.method} ${asked.url} told ${word}: ${said}`)
  }
  if (hidden) {
    hiddenOnes.told++
    await assertAbsent(walk, who, asked, answer)
  }
  after(walk, asked, answer, who)
}

/** Hidden is as absent: another id that nobody has is answered with the same words. */
async function assertAbsent(walk: Walk, who: Walker, asked: Asked, answer: Answer): Promise<void> {
  const { about } = asked
  assert.ok(about)
  const absent = about.id.startsWith('sha256:')
    ? `sha256:${createHash('sha256').update(randomUUID()).digest('hex')}`
    : `${about.id.slice(0, -12)}${createHash('sha256').update(about.id).digest('hex').slice(0, 12)}`
  const other = JSON.parse(JSON.stringify(asked).replaceAll(about.id, absent)) as Asked
  const nothing = await send(walk, who, other)
  const plain = ({ statusCode, headers, body }: Answer, id: string) => {
    const { date: _, 'x-request-id': request, ratelimit: __, ...rest } = headers
    const text = JSON.stringify({ statusCode, rest, body }).replaceAll(id, 'ID')
    return text.replaceAll(String(request), 'REQUEST').replaceAll(encodeURIComponent(id), 'ID')
  }
  assert.equal(plain(answer, about.id), plain(nothing, absent), `${who.name}: ${asked.method} ${asked.url}`)
}

type Answer = Awaited<ReturnType<World['ask']>>

async function send({ world }: Walk, who: Walker, { method, url, payload, headers }: Asked): Promise<Answer> {
  const row = { scopes: 'known' as const, ...(payload ? { payload } : {}), ...(headers ? { headers } : {}) }
  return await world.ask(who.token, method, url, row)
}

/** What a successful answer has changed, or made known. */
function after(walk: Walk, { method, url, about, payload }: Asked, answer: Answer, who: Walker): void {
  const { statusCode, body } = answer
  if (method === 'DELETE' && statusCode === 204 && about) {
    about.parts = about.kind === 'package' ? partsLeft(who, about) : []
    if (about.parts.length === 0) walk.forget(about)
  }
  if (method === 'POST' && url === '/v1/jobs' && statusCode === 202) {
    const { id, source, destination } = JSON.parse(body) as Job & { destination: string }
    if (walk.things.some((thing) => thing.id === id)) return
    // The package's name comes below it.
    const places = [`${destination.replace(/^oci:\/\/[^/]+\//, '')}/any`]
    walk.things.push({
      kind: 'job',
      id,
      parts: [{ owner: who.name, places, words: [], source: source.replace(/^[a-z]+:/, '') }],
    })
  }
  const { nextPageToken } = (payload === undefined && body.startsWith('{') ? JSON.parse(body) : {}) as {
    nextPageToken?: string
  }
  if (nextPageToken !== undefined) walk.pageTokens.push(nextPageToken)
}

function draw(walk: Walk): Asked {
  const { draws, things } = walk
  const thing = draws.one(things)
  const { id } = thing
  const other = draws.oneIn(8)
  if (other) return list(walk)
  if (draws.oneIn(8)) return create(walk)
  const headers = { accept: 'application/json' }
  if (thing.kind === 'upload') {
    if (draws.oneIn(15)) return { method: 'DELETE', url: `/v1/uploads/${id}`, about: thing }
    if (draws.oneIn(5)) return { method: 'GET', url: `/v1/bundles?ref=upload:${id}`, about: thing }
    return { method: 'GET', url: `/v1/uploads/${id}${draws.one(UPLOAD_VIEWS)}`, about: thing }
  }
  if (thing.kind === 'package') {
    if (draws.oneIn(15)) return { method: 'DELETE', url: `/v1/packages/${id}`, about: thing }
    if (draws.oneIn(5)) return { method: 'GET', url: `/v1/bundles?ref=store:${id}`, about: thing }
    if (draws.oneIn(8)) return { method: 'POST', url: `/v1/packages/${id}/links`, payload: {}, about: thing }
    return { method: draws.one(['GET', 'HEAD']), url: `/v1/packages/${id}${draws.one(PACKAGE_VIEWS)}`, about: thing }
  }
  if (draws.oneIn(15)) return { method: 'DELETE', url: `/v1/jobs/${id}`, about: thing }
  if (draws.oneIn(3)) {
    return { method: 'POST', url: `/v1/jobs/${id}/${draws.one(COMMANDS)}`, payload: {}, about: thing }
  }
  return { method: 'GET', url: `/v1/jobs/${id}${draws.one(TRAILING)}`, headers, about: thing }
}

/** Lists, with whatever may narrow them: also words of what others have, and page tokens that others got. */
function list({ draws, things, pageTokens, world }: Walk): Asked {
  const { id, parts } = draws.one(things)
  const { owner, words } = draws.one(parts)
  const filters = [
    `principal=${owner}`,
    `q=${draws.one([id, ...words]).slice(0, draws.upTo(24))}`,
    `label=label=${words[0] ?? 'x'}`,
    `registry=${world.registry.host}`,
    `state=${draws.one(['queued', 'canceled', 'failed'])}`,
    `sort=${draws.one(['createdAt', '-createdAt', '-endedAt'])}`,
    'requestId=request-1',
  ].filter(() => draws.oneIn(4))
  const token = pageTokens.length > 0 && draws.oneIn(3) ? [`pageToken=${draws.one(pageTokens)}`] : []
  const query = [...filters, ...token, `pageSize=${1 + draws.upTo(4)}`].join('&')
  const page = query.replace(/(?:principal|q|label|registry|state|sort|requestId)=[^&]*&?/g, '')
  const url = draws.one(['/v1/jobs', '/v1/jobs', '/v1/uploads', '/v1/packages'])
  return { method: 'GET', url: `${url}?${url === '/v1/jobs' ? query : page}` }
}

/** Jobs over what others have, under keys that others used. */
function create({ draws, things, world }: Walk): Asked {
  const thing = draws.one(things.filter(({ kind }) => kind !== 'job'))
  const source = `${thing.kind === 'upload' ? 'upload' : 'store'}:${thing.id}`
  const destination = `oci://${world.registry.host}/${draws.one(['team', 'other'])}`
  const headers = { 'idempotency-key': `key-${draws.upTo(4)}` }
  return { method: 'POST', url: '/v1/jobs', payload: { kind: 'publish', source, destination }, headers, about: thing }
}

/** The same package by another owner. */
async function pullAgain(world: World, digest: Digest, by: { owner: string; reference: string }): Promise<string> {
  const known = await world.store.packages.get(digest)
  assert.ok(known)
  const { complete: _, storedAt: __, holders: ___, lacks: ____, owners: _____, ...record } = known
  await world.store.packages.put({ ...record, references: [by.reference], owner: by.owner })
  return digest
}

/** With what stands in it in base64, as page tokens do. */
function decoded(text: string): string {
  const words = text.match(/[\w-]{16,}/g) ?? []
  return [text, ...words.map((word) => Buffer.from(word, 'base64url').toString())].join('\n')
}
