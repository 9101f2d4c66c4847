import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { newJob } from '../../../helpers/redis/jobs.ts'
import { startApp } from '../../../helpers/streams/http-app.ts'

test('JSON ends in a line end, problems too', async (t) => {
  const { app } = await startApp(t)
  for (const url of ['/v1/jobs', '/version', '/livez', '/v1/nothing']) {
    const { body, headers } = await app.inject(url)
    assert.match(body, /\}\n$/, url)
    assert.equal(Number(headers['content-length']), Buffer.byteLength(body), url)
  }
})

test('JSON and text are compressed for who asks, what is small and what is a package is not', async (t) => {
  const { app, jobs } = await startApp(t)
  for (let at = 0; at < 5; at += 1) await jobs.queue.create(newJob())
  const get = (url: string, encoding?: string) =>
    app.inject({ url, headers: encoding === undefined ? {} : { 'accept-encoding': encoding } })
  const plain = await get('/v1/jobs')
  const packed = await get('/v1/jobs', 'gzip, br')
  assert.deepEqual([plain.headers['content-encoding'], packed.headers['content-encoding']], [undefined, 'gzip'])
  assert.equal(String(gunzipSync(packed.rawPayload)), plain.body)
  assert.match(String(packed.headers['vary']), /accept-encoding/i)
  assert.equal((await get('/openapi.yaml', 'gzip')).headers['content-encoding'], 'gzip')
  assert.equal((await get('/livez', 'gzip')).headers['content-encoding'], undefined)
  assert.equal((await get('/v1/jobs', 'br')).headers['content-encoding'], undefined)
})

test('what stands in a query is a number, a boolean or a list only where it reads as one', async (t) => {
  const { app, jobs } = await startApp(t)
  const { job } = await jobs.queue.create(newJob())
  for (const query of ['pageSize=2', 'state=queued', 'state=queued&state=failed', 'kind=publish']) {
    assert.equal((await app.inject(`/v1/jobs?${query}`)).statusCode, 200, query)
  }
  for (const query of [
    'pageSize=true',
    'pageSize=1.5',
    'pageSize=',
    'pageSize=1e1',
    'pageSize=1&pageSize=2',
    'q=a&q=b',
  ]) {
    assert.equal((await app.inject(`/v1/jobs?${query}`)).statusCode, 400, query)
  }
  const events = (query: string) => app.inject(`/v1/jobs/${job.id}/events?${query}`)
  assert.deepEqual([(await events('once=true')).statusCode, (await events('once=yes')).statusCode], [200, 400])
})

test('an Accept that an address cannot meet is a 406 that says what there is', async (t) => {
  const { app, jobs } = await startApp(t)
  const { job } = await jobs.queue.create(newJob())
  const status = async (url: string, accept: string) => (await app.inject({ url, headers: { accept } })).statusCode
  for (const url of ['/v1/jobs', `/v1/jobs/${job.id}`, '/version', '/v1/uploads']) {
    assert.equal(await status(url, 'text/csv'), 406, url)
    for (const accept of ['application/json', '*/*', 'application/*', 'text/html,*/*;q=0.8', '']) {
      assert.equal(await status(url, accept), 200, `${url} ${accept}`)
    }
  }
  const refused = await app.inject({ url: '/v1/jobs', headers: { accept: 'text/csv' } })
  const { code, hint } = refused.json<{ code: string; hint: string }>()
  assert.deepEqual([code, hint], ['NOT_ACCEPTABLE', 'It comes as application/json.'])
  assert.equal(await status(`/v1/jobs/${job.id}/logs`, 'application/x-ndjson'), 200)
  assert.equal(await status(`/v1/jobs/${job.id}/logs`, 'application/json'), 406)
  const gone = await app.inject({ method: 'DELETE', url: `/v1/jobs/${job.id}`, headers: { accept: 'text/csv' } })
  assert.equal(gone.statusCode, 409, 'what answers nothing takes any Accept')
})
