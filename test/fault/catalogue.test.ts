import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { test } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import { OCI_MANIFEST } from '../../src/content/media-types.ts'
import type { CredentialProvider } from '../../src/oci/credentials/provider.ts'
import { startCatalogue } from '../helpers/catalogue/catalogue-bed.ts'
import type { Cleanup } from '../helpers/cleanup.ts'
import { listenOnLoopback } from '../helpers/network/listening.ts'

const CONFIG = Buffer.from('{"architecture":"amd64"}')
const MANIFEST = Buffer.from(
  JSON.stringify({
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: digestOf(CONFIG), size: CONFIG.length },
    layers: [],
    annotations: { 'org.opencontainers.image.description': `\u001b]0;x\u0007${'<b>'.repeat(1000)}\u202e` },
  }),
)

interface Far {
  host: string
  asked: string[]
}

type Own = (request: IncomingMessage, url: URL, response: ServerResponse) => boolean

/** A registry whose repositories all hold the tags `1.0.0` and what is hostile, and that answers for itself where `own` does. */
async function startFar(t: Cleanup, own: Own): Promise<Far> {
  const asked: string[] = []
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://far')
    asked.push(`${request.method} ${url.pathname}${url.search}`)
    response.setHeader('content-type', 'application/json')
    if (own(request, url, response)) return
    if (url.pathname === '/v2/') response.end('{}')
    else if (url.pathname.endsWith('/tags/list')) {
      const tags = ['1.0.0', 'a/../../b', '\u001b[2J', '', 'x'.repeat(500), '.hidden', `sha256-${'a'.repeat(64)}.sig`]
      response.end(JSON.stringify({ name: 'x', tags }))
    } else if (url.pathname.includes('/manifests/')) {
      response.setHeader('content-type', OCI_MANIFEST)
      response.setHeader('docker-content-digest', digestOf(MANIFEST))
      response.end(request.method === 'HEAD' ? undefined : MANIFEST)
    } else if (url.pathname.includes('/blobs/')) response.end(CONFIG)
    else response.writeHead(404).end('{}')
  })
  return { host: await listenOnLoopback(t, server), asked }
}

const refusing =
  (status: number, code: string): Own =>
  (_request, url, response) => {
    if (url.pathname !== '/v2/_catalog') return false
    response.writeHead(status).end(JSON.stringify({ errors: [{ code, message: 'no list for you' }] }))
    return true
  }

for (const [status, code] of [
  [401, 'UNAUTHORIZED'],
  [403, 'DENIED'],
  [404, 'NOT_FOUND'],
  [405, 'UNSUPPORTED'],
] as const) {
  test(`a registry that lists nothing (${status}) says so and what to do; what is named is looked at all the same`, async (t) => {
    const far = await startFar(t, refusing(status, code))
    const bed = await startCatalogue(t)
    bed.refresher()
    await bed.add(far.host, { repositories: ['team/oar', 'other/**'] })
    const state = await bed.refreshed(far.host)
    assert.equal(state.state, 'failed')
    assert.equal(state.error?.code, 'REGISTRY_NOT_LISTED')
    assert.match(state.error?.detail ?? '', new RegExp(`${far.host} does not list its repositories .*${status}`))
    assert.match(state.error?.hint ?? '', /layerd catalog add HOST --repository .*layerd login HOST/)
    const { items, registries } = await bed.search()
    assert.deepEqual(
      items.map(({ reference }) => reference),
      [`oci://${far.host}/team/oar:1.0.0`],
    )
    assert.equal(registries[0]?.error?.code, 'REGISTRY_NOT_LISTED')
    // It is not asked again and again.
    const asked = far.asked.length
    await bed.refreshed(far.host, true)
    assert.ok(far.asked.length - asked < 20, far.asked.slice(asked).join('\n'))
  })
}

test('hostile names, tags and texts are left out, or told without what is obeyed', async (t) => {
  const names = ['team/oar', '../../etc', 'UPPER', 'a//b', '', 'a b', '\u001b[2J', 'x'.repeat(300), 'team/oar']
  const far = await startFar(t, (_request, url, response) => {
    if (url.pathname !== '/v2/_catalog') return false
    response.end(JSON.stringify({ repositories: names }))
    return true
  })
  const bed = await startCatalogue(t)
  bed.refresher()
  await bed.add(far.host)
  const state = await bed.refreshed(far.host)
  assert.deepEqual([state.state, state.repositoryCount, state.tagCount], ['ready', 1, 1])
  const [oar] = (await bed.search()).items
  assert.equal(oar?.description?.length, 500)
  assert.doesNotMatch(oar?.description ?? '', /[\p{Cc}\p{Bidi_Control}]/u)
  for (const path of far.asked) assert.doesNotMatch(path, /etc|\.\.|hidden|UPPER/)
})

test('a page too large for the registry is asked for smaller; links that lead elsewhere or in circles end', async (t) => {
  const small = await startFar(t, (_request, url, response) => {
    if (url.pathname !== '/v2/_catalog') return false
    if (Number(url.searchParams.get('n')) > 100) {
      response.writeHead(400).end('{"errors":[{"code":"PAGINATION_NUMBER_INVALID","message":"too many"}]}')
      return true
    }
    const at = Number(url.searchParams.get('last') ?? 0)
    // It never ends, and from the third page on brings nothing new.
    response.setHeader('link', `</v2/_catalog?n=100&last=${at + 1}>; rel="next"`)
    response.end(JSON.stringify({ repositories: [`team/page-${Math.min(at, 2)}`] }))
    return true
  })
  const elsewhere = await startFar(t, (_request, url, response) => {
    if (url.pathname !== '/v2/_catalog') return false
    response.setHeader('link', `<http://${small.host}/v2/_catalog?from=elsewhere>; rel="next"`)
    response.end(JSON.stringify({ repositories: ['team/first'] }))
    return true
  })
  const bed = await startCatalogue(t)
  bed.refresher()
  await bed.add(small.host)
  assert.equal((await bed.refreshed(small.host)).repositoryCount, 3)
  assert.equal(small.asked.filter((path) => path.includes('_catalog')).length, 5)
  await bed.add(elsewhere.host)
  const state = await bed.refreshed(elsewhere.host)
  assert.equal(state.error?.code, 'REGISTRY_PROTOCOL_VIOLATION')
  assert.ok(!small.asked.some((path) => path.includes('elsewhere')))
})

test("a Harbor that keeps _catalog for administrators is asked by its own interface, by the user's password", async (t) => {
  const password = 'harbor-secret'
  const basic = `Basic ${Buffer.from(`robot:${password}`).toString('base64')}`
  const far = await startFar(t, (request, url, response) => {
    if (url.pathname === '/v2/_catalog') {
      response.setHeader('www-authenticate', 'Basic realm="harbor"')
      response.writeHead(401).end('{"errors":[{"code":"UNAUTHORIZED","message":"unauthorized to list catalog"}]}')
      return true
    }
    if (/\/app-[1-9]\d*\/tags\/list$/.test(url.pathname)) {
      response.end('{"tags":[]}')
      return true
    }
    const project = /^\/api\/v2\.0\/projects\/([^/]+)\/repositories$/.exec(url.pathname)?.[1]
    if (project === undefined) return false
    if (request.headers.authorization !== basic) {
      response.writeHead(401).end('{"errors":[{"code":"UNAUTHORIZED","message":"unauthorized"}]}')
      return true
    }
    const page = Number(url.searchParams.get('page'))
    const all = Array.from({ length: 130 }, (_, at) => ({ id: at, name: `${project}/app-${at}`, artifact_count: 1 }))
    response.setHeader('x-total-count', '130')
    // Counted, and never gone by.
    response.setHeader('link', '<http://127.0.0.1:1/api/v2.0/elsewhere>; rel="next"')
    response.end(JSON.stringify(all.slice((page - 1) * 100, page * 100)))
    return true
  })
  const given = { kind: 'basic', username: 'robot', password } as const
  const credentials: CredentialProvider = {
    find: async () => ({ id: 'kept', source: 'the test', credential: async () => given }),
  }
  const bed = await startCatalogue(t, { credentials })
  bed.refresher()
  await bed.add(far.host, { repositories: ['team/**'] })
  const state = await bed.refreshed(far.host)
  assert.deepEqual([state.state, state.error, state.repositoryCount], ['ready', null, 1])
  assert.equal(far.asked.filter((path) => path.includes('/tags/list')).length, 130)
  assert.deepEqual(
    far.asked.filter((path) => path.includes('/api/')),
    [1, 2].map((page) => `GET /api/v2.0/projects/team/repositories?page=${page}&page_size=100`),
  )
})

test('a registry that fails is left alone for a while, what was known stays, and what is lost is told', async (t) => {
  let broken: 'all' | 'one' | undefined
  const far = await startFar(t, (_request, url, response) => {
    if (url.pathname === '/v2/_catalog') {
      response.end(JSON.stringify({ repositories: ['team/a', 'team/b'] }))
      return true
    }
    if (broken === undefined || !url.pathname.includes('team/a/')) return false
    response.writeHead(403).end('{"errors":[{"code":"DENIED","message":"not any more"}]}')
    return true
  })
  const bed = await startCatalogue(t)
  bed.refresher()
  await bed.add(far.host)
  await bed.refreshed(far.host)
  broken = 'one'
  const state = await bed.refreshed(far.host, true)
  assert.deepEqual([state.state, state.problemCount, state.repositoryCount], ['ready', 1, 2])
  assert.deepEqual([state.problems[0]?.repository, state.problems[0]?.code], ['team/a', 'REGISTRY_DENIED'])
  assert.equal((await bed.search('q=team/a')).items.length, 1)
})
