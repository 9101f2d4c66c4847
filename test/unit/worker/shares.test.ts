import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { QueueLook } from '../../../src/jobs/dispatch/look-queues.ts'
import { createShares, type PlaceClaim } from '../../../src/worker/shares.ts'

interface Case {
  places?: number
  all?: number
  claim: Omit<PlaceClaim, 'host'>
  queues: Record<string, [takeable: number, active: number]>
  turns?: Record<string, number>
  keptFor: string[]
}

const CASES: Record<string, Case> = {
  'half of the places': { claim: { here: 4, free: 1 }, queues: { a: [9, 4], b: [9, 0] }, keptFor: [] },
  'no more than half while another one waits': {
    claim: { here: 5, free: 2 },
    queues: { a: [9, 5], b: [1, 0], c: [0, 1] },
    keptFor: ['b'],
  },
  'all of them when nobody waits': { claim: { here: 8, free: 0 }, queues: { a: [9, 8], b: [0, 3] }, keptFor: [] },
  'nothing is kept for one that has its half': {
    claim: { here: 5, free: 0 },
    queues: { a: [9, 5], b: [9, 4] },
    keptFor: [],
  },
  'half of all processes': {
    places: 1,
    all: 2,
    claim: { here: 1, free: 0 },
    queues: { a: [9, 2], b: [1, 0] },
    keptFor: ['b'],
  },
  'one place is more than half of one': {
    places: 1,
    all: 1,
    claim: { here: 1, free: 0 },
    queues: { a: [9, 1], b: [1, 0] },
    keptFor: [],
  },
  'the last place goes to who had none for longest': {
    claim: { here: 1, free: 0 },
    queues: { a: [9, 1], b: [1, 0], c: [1, 0], d: [0, 0] },
    turns: { a: 2, b: 1, c: 3, d: 0 },
    keptFor: ['b'],
  },
}

for (const [name, { places = 8, all = 8, claim, queues, turns = {}, keptFor }] of Object.entries(CASES)) {
  test(`places: ${name}`, async () => {
    const looks = new Map(Object.entries(queues).map(([host, [takeable, active]]) => [host, { takeable, active }]))
    const shares = createShares({
      look: async (hosts): Promise<Map<string, QueueLook>> => {
        assert.deepEqual(hosts, Object.keys(queues))
        return looks
      },
      places,
      allPlaces: () => all,
      lastTurn: (host) => turns[host] ?? 0,
    })
    const others = Object.keys(queues).slice(1)
    assert.deepEqual(await shares.keptFor({ host: 'a', ...claim }, others), keptFor)
  })
}
