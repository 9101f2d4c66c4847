import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createHostPaces } from '../../../../../src/oci/wire/pace/host-pace.ts'
import { type Remaining, remainingOf } from '../../../../../src/oci/wire/pace/remaining.ts'
import type { WaitCause } from '../../../../../src/oci/wire/pace/wait-cause.ts'
import { createStepClock } from '../../../../helpers/step-clock.ts'

type Headers = Readonly<Record<string, string>>
const read = (headers: Headers) => remainingOf((name) => headers[name])

const HUB = { 'docker-ratelimit-source': '192.0.2.1', 'ratelimit-limit': '100;w=21600' }
const requests = (more: Partial<Remaining>): Remaining => ({
  remaining: 0,
  limit: undefined,
  resetMs: undefined,
  windowMs: undefined,
  counts: 'requests',
  ...more,
})

// The forms of the drafts, of Docker's and of Azure's documentation.
for (const [name, headers, expected] of [
  ['draft 10', { ratelimit: '"default";r=50;t=30' }, { remaining: 50, resetMs: 30_000 }],
  [
    'draft 10 with policies, the least of which counts',
    {
      ratelimit: '"burst";r=40;t=10, "day";r=3;t=900',
      'ratelimit-policy': '"burst";q=100;w=60, "day";q=1000;w=86400',
    },
    { remaining: 3, limit: 1000, resetMs: 900_000, windowMs: 86_400_000 },
  ],
  [
    'draft 7',
    { ratelimit: 'limit=100, remaining=50, reset=5', 'ratelimit-policy': '100;w=60' },
    { remaining: 50, limit: 100, resetMs: 5000, windowMs: 60_000 },
  ],
  [
    'draft 6',
    { 'ratelimit-limit': '100, 100;w=60', 'ratelimit-remaining': '7', 'ratelimit-reset': '12' },
    { remaining: 7, limit: 100, resetMs: 12_000, windowMs: 60_000 },
  ],
  [
    'Docker Hub',
    { ...HUB, 'ratelimit-remaining': '76;w=21600' },
    { remaining: 76, limit: 100, windowMs: 21_600_000, counts: 'pulls' },
  ],
  [
    'Azure',
    { 'x-ms-ratelimit-remaining-calls-per-second': '166.65' },
    { remaining: 166, resetMs: 1000, windowMs: 1000 },
  ],
] as const) {
  test(`what is left is read as ${name} writes it`, () => {
    assert.deepEqual(read(headers), requests(expected))
  })
}

test('what is no number of what is left says nothing', () => {
  for (const value of [
    '',
    '-1',
    'many',
    '1e9',
    '"default"',
    '"default";r=-5',
    'remaining=x',
    ';;,,;',
    '9'.repeat(400),
  ]) {
    for (const header of ['ratelimit', 'ratelimit-remaining', 'x-ms-ratelimit-remaining-calls-per-second']) {
      assert.equal(read({ [header]: value }), undefined, `${header}: ${value}`)
    }
  }
  assert.deepEqual(
    read({ 'ratelimit-remaining': '5', 'ratelimit-reset': 'soon', 'ratelimit-limit': '?' }),
    requests({ remaining: 5 }),
  )
  const long = '"a";r=1;t=1,'.repeat(100_000)
  assert.equal(read({ ratelimit: long, 'ratelimit-policy': long })?.remaining, 1)
})

/** What a request waits for after an answer with these headers, and how long. */
async function after(headers: Headers, { pulls = false, asked = 1 } = {}) {
  const clock = createStepClock()
  using paces = createHostPaces({ clock })
  const pace = paces.of('registry.example')
  pace.answered(pace.sent(), { status: 200, header: (name) => headers[name] })
  const line = pulls ? pace.pulls : pace
  if (line.open) return undefined
  let said = ''
  const onWait = (_until: number | undefined, cause: WaitCause) => void (said = cause('registry.example'))
  const begun = clock.now()
  for (let at = 0; at < asked; at += 1) await line.turn({ onWait })
  return { ms: clock.now() - begun, said }
}

test('with nothing left nothing goes out before there is, and no longer than ten minutes', async () => {
  const spent = { 'ratelimit-limit': '100', 'ratelimit-remaining': '0', 'ratelimit-reset': '12' }
  assert.deepEqual(await after(spent), { ms: 12_000, said: 'registry.example has 0 of 100 requests left' })
  assert.equal((await after({ ...spent, 'ratelimit-reset': '999999' }))?.ms, 600_000)
  assert.equal((await after({ 'x-ms-ratelimit-remaining-calls-per-second': '0.4' }))?.ms, 1000)
  assert.equal(await after({ 'ratelimit-remaining': '0' }), undefined, 'nobody says until when')
})

test('with few left they go evenly over what is left of the time', async () => {
  const few = { 'ratelimit-limit': '100', 'ratelimit-remaining': '5', 'ratelimit-reset': '10' }
  assert.deepEqual(await after(few, { asked: 3 }), { ms: 4000, said: 'registry.example has 5 of 100 requests left' })
  assert.equal((await after({ ...few, 'ratelimit-remaining': '1', 'ratelimit-reset': '300' }, { asked: 2 }))?.ms, 5000)
  assert.equal(await after({ ...few, 'ratelimit-remaining': '10' }), undefined)
})

test('what counts pulls alone keeps nothing else from going out', async () => {
  const none = { ...HUB, 'ratelimit-remaining': '0;w=21600' }
  assert.equal(await after(none), undefined)
  const waited = await after(none, { pulls: true })
  assert.deepEqual(waited, { ms: 216_000, said: 'registry.example has 0 of 100 pulls left' })
  const few = { ...HUB, 'ratelimit-remaining': '4;w=21600' }
  assert.equal((await after(few, { pulls: true, asked: 2 }))?.ms, 5000)
  assert.equal(await after(few), undefined)
})
