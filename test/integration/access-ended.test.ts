import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { describe, test, type TestContext } from 'node:test'
import type { Problem } from '../../src/jobs/model/definitions.ts'
import type { ContentStore } from '../../src/store/content-store.ts'
import { defer } from '../helpers/cleanup.ts'
import { packageFiles, pullFrom, putPackage } from '../helpers/packages/pulling.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { newJob } from '../helpers/redis/jobs.ts'
import { startApp } from '../helpers/streams/http-app.ts'
import { startTokenApp } from '../helpers/streams/token-app.ts'
import { tokenLine } from '../helpers/streams/tokens.ts'
import { waitFor } from '../helpers/wait-for.ts'

const ALL = ['jobs:read', 'jobs:write', 'packages:read', 'uploads:write']

/** Two API processes over one Redis: what is open is open in the first one. */
async function started(t: TestContext, lines = '') {
  const first = await startTokenApp(t, lines)
  const { tokensFile } = first
  const second = await startApp(t, { tokensFile, beside: first })
  const base = await first.listen()
  const { job } = await first.jobs.queue.create(newJob({ principal: 'ci' }))
  /** A request whose body is sent by hand, and whose answer is read by hand. */
  const open = (
    token: string,
    path: string,
    { method = 'GET', headers = {} }: { method?: string; headers?: object } = {},
  ) => {
    const request = httpRequest(`${base}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, ...headers },
      agent: false,
    })
    defer(t, async () => void request.destroy())
    const answer = new Promise<IncomingMessage>((resolve, reject) => {
      request.on('response', resolve).on('error', reject)
    })
    answer.catch(() => {})
    if (method === 'GET') request.end()
    return { request, answer }
  }
  return {
    ...first,
    job,
    open,
    revokeInSecond: async (id: string) => {
      const headers = { authorization: 'Bearer root' }
      const answer = await second.app.inject({ method: 'DELETE', url: `/v1/tokens/${id}`, headers })
      assert.equal(answer.statusCode, 204, answer.body)
    },
  }
}

/** What an answer says until it ends; `whole`: in its own time, and not cut. */
function reading(answer: IncomingMessage) {
  const read = { text: '', over: false, whole: false }
  answer.setEncoding('utf8').on('data', (chunk: string) => (read.text += chunk))
  answer
    .on('end', () => (read.whole = true))
    .on('error', () => {})
    .on('close', () => (read.over = true))
  return read
}

const problemOf = async (answer: IncomingMessage) => [
  answer.statusCode,
  (JSON.parse(await text(answer)) as Problem).code,
]

/** A package of 'ci' that no socket's buffers have room for. */
async function storeLarge(t: TestContext, store: ContentStore): Promise<string> {
  const registry = await startMemoryRegistry()
  defer(t, () => registry.close())
  const place = { repository: 'team/sample', tag: '1.0.0' }
  const digest = putPackage(registry, place, packageFiles({ 'components/one.tar': randomBytes(48 * 2 ** 20) }))
  await pullFrom(t, `${registry.host}/team/sample:1.0.0`, { architecture: 'amd64', store, owner: 'ci' })
  return digest
}

describe('what a token has open when it is taken away in another process', () => {
  test('streams end as at a shutdown, and who comes back is not let in', async (t) => {
    const { issue, job, open, revokeInSecond, status } = await started(t)
    const [{ token, id }, other] = [await issue({ scopes: ALL }), await issue({ scopes: ALL })]
    const paths: Array<[string, string]> = [
      [`/v1/jobs/${job.id}/events`, 'text/event-stream'],
      [`/v1/jobs/${job.id}/events`, 'application/x-ndjson'],
      [`/v1/jobs/${job.id}/logs?follow=true`, 'text/plain'],
    ]
    const follow = async (by: string, [path, accept]: [string, string]) => {
      const read = reading(await open(by, path, { headers: { accept } }).answer)
      await waitFor('its first words', () => read.text !== '')
      return read
    }
    const streams = await Promise.all(paths.map((path) => follow(token, path)))
    const others = await Promise.all(paths.map((path) => follow(other.token, path)))
    await revokeInSecond(id)
    for (const [at, read] of streams.entries()) {
      await waitFor(`the end of ${paths[at]?.join(' as ')}`, () => read.over)
      assert.ok(read.whole, `${paths[at]?.join()} was cut`)
      assert.doesNotMatch(read.text, /"type":"end"|event: end/)
    }
    assert.match(streams[0]?.text ?? '', /\nretry: \d+\n\n$/)
    assert.equal(await status(token, `/v1/jobs/${job.id}/events`), 401)
    assert.deepEqual(
      others.map(({ over }) => over),
      [false, false, false],
    )
  })

  test('a wait, an upload and a download end, and nothing is kept', async (t) => {
    const { issue, job, open, revokeInSecond, store, uploadFolder, jobs } = await started(t)
    const { token, id } = await issue({ scopes: ALL })
    const digest = await storeLarge(t, store)
    const download = await open(token, `/v1/packages/${digest}/archive`).answer
    assert.equal(download.statusCode, 200)
    const upload = open(token, '/v1/uploads/p.tar', { method: 'PUT', headers: { 'content-length': '1000000' } })
    upload.request.write(Buffer.alloc(100_000))
    await waitFor('the upload to have begun', async () => (await readdir(uploadFolder)).length === 1)
    const waits = open(token, `/v1/jobs/${job.id}`, { headers: { prefer: 'wait=60' } })
    await waitFor('somebody to wait', async () => {
      const [, count] = (await jobs.raw.pubsub('NUMSUB', `{layerd}:job:${job.id}:events`)) as [string, number]
      return count === 1
    })
    await revokeInSecond(id)
    assert.deepEqual(await problemOf(await waits.answer), [401, 'UNAUTHENTICATED'])
    assert.deepEqual(await problemOf(await upload.answer), [401, 'UNAUTHENTICATED'])
    await waitFor('nothing to be left', async () => (await readdir(uploadFolder)).length === 0)
    const read = reading(download)
    await waitFor('the download to end', () => read.over)
    assert.equal(read.whole, false, 'it was cut')
  })

  test('a request whose body is not there yet does nothing', async (t) => {
    const { issue, open, revokeInSecond, jobs } = await started(t)
    const { token, id } = await issue({ scopes: ALL })
    const body = JSON.stringify({ kind: 'pull', source: 'oci://r.example/team/nemo:1.2.0' })
    const headers = { 'content-type': 'application/json', 'content-length': String(body.length) }
    const { request, answer } = open(token, '/v1/jobs', { method: 'POST', headers })
    request.write(body.slice(0, 10))
    await waitFor('it to be let in', () => jobs.raw.hexists('{layerd}:tokens:used', id))
    await revokeInSecond(id)
    request.end(body.slice(10))
    assert.deepEqual(await problemOf(await answer), [401, 'UNAUTHENTICATED'])
    assert.equal(await jobs.raw.zcard('{layerd}:jobs'), 1, "the test's own")
  })
})

test('a line that is taken out of the file, or may do less, ends what it has open', async (t) => {
  const { open, job, setLines } = await started(
    t,
    tokenLine('ci', 'jobs:read') + tokenLine('cd', 'system:read,jobs:read'),
  )
  const streams = await Promise.all(
    ['ci', 'cd', 'root'].map(async (token) => {
      const headers = { accept: 'text/event-stream' }
      const read = reading(await open(token, `/v1/jobs/${job.id}/events`, { headers }).answer)
      await waitFor('its first words', () => read.text !== '')
      return read
    }),
  )
  await setLines(tokenLine('cd', 'jobs:read'))
  for (const read of streams.slice(0, 2)) await waitFor('its end', () => read.over && read.whole)
  assert.equal(streams[2]?.over, false)
})
