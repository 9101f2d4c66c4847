import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Job, Problem } from '../../src/jobs/model/definitions.ts'
import { startApp } from '../helpers/streams/http-app.ts'
import { tokensFileOf } from '../helpers/streams/tokens.ts'
import { waitFor } from '../helpers/wait-for.ts'

test('streams of one caller leave those of others, and all have a bound; one that ends makes room', async (t) => {
  const tokensFile = await tokensFileOf(t, { ann: '*', bob: '*', cid: '*' })
  const bed = await startApp(t, { tokensFile, kinds: new Set(['pull']), streamLimits: { perPrincipal: 2, all: 3 } })
  const api = await bed.listen()
  const headersOf = (who: string) => ({ authorization: `Bearer ${who}`, accept: 'text/event-stream, text/plain' })
  const body = JSON.stringify({ kind: 'pull', source: 'oci://registry.example/team/nemo:1' })
  const { id } = await waitFor('a job', async () => {
    const headers = { authorization: 'Bearer ann', 'content-type': 'application/json' }
    const answer = await fetch(`${api}/v1/jobs`, { method: 'POST', headers, body })
    if (answer.status !== 202) throw new Error(await answer.text())
    return (await answer.json()) as Job
  })
  const stops: AbortController[] = []
  const open = async (who: string, path = 'events') => {
    const stop = new AbortController()
    stops.push(stop)
    const answer = await fetch(`${api}/v1/jobs/${id}/${path}`, { headers: headersOf(who), signal: stop.signal })
    if (answer.status === 200) return { status: 200, stop }
    const { code } = (await answer.json()) as Problem
    return { status: answer.status, code, retryAfter: answer.headers.get('retry-after'), stop }
  }
  const [first, second] = [await open('ann'), await open('ann')]
  assert.deepEqual([first.status, second.status], [200, 200])
  const third = await open('ann')
  assert.deepEqual([third.status, third.code, third.retryAfter], [429, 'STREAMS_TOO_MANY', '5'])
  assert.equal((await open('bob')).status, 200)
  assert.equal((await open('cid')).code, 'STREAMS_TOO_MANY')
  assert.equal((await open('ann', 'logs?follow=true')).code, 'STREAMS_TOO_MANY')
  // Without an end ahead it would last a minute.
  const waited = await fetch(`${api}/v1/jobs/${id}`, { headers: { authorization: 'Bearer ann', prefer: 'wait=60' } })
  assert.deepEqual([waited.status, waited.headers.get('preference-applied')], [200, null])
  first.stop.abort()
  await waitFor('a place to be free', async () => (await open('ann', 'logs?follow=true')).status === 200)
  assert.equal((await open('ann')).code, 'STREAMS_TOO_MANY', 'a followed log is one of them')
  assert.equal((await open('ann', 'logs')).status, 200)
  for (const stop of stops) stop.abort()
})
