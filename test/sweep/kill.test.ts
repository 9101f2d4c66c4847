import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertResumed, killAt, type KillPoint, startSweep, startSweptDistribution } from '../helpers/kill-sweep.ts'
import { skipWithout } from '../helpers/real-tools.ts'

const MIB = 1024 * 1024
const LAYER = 32 * MIB
/** A point takes a few seconds. */
const LONG_MS = 900_000
const EVERY_POINT: readonly KillPoint[] = [...Array.from({ length: 21 }, (_, step) => step * 5), 'commit']

for (const format of ['tar', 'tar.zst'] as const) {
  test(`a worker killed at any point of a layer of a ${format}: distribution 3 keeps every byte`, {
    timeout: LONG_MS,
  }, async (t) => {
    if (skipWithout(t, 'registry')) return
    const scene = await startSweep(t, await startSweptDistribution(t, 'registry'))
    for (const at of EVERY_POINT) {
      const outcome = await killAt(scene, { at, layerBytes: LAYER, format })
      assertResumed(outcome, at)
      t.diagnostic(`${at}: ${outcome.job.progress.bytesResumed} resumed, ${outcome.wire} on the wire`)
    }
  })
}

test('a worker killed at any point of a layer: distribution 2.8 begins again where it was cut, and only there', {
  timeout: LONG_MS,
}, async (t) => {
  if (skipWithout(t, 'docker-registry')) return
  const scene = await startSweep(t, await startSweptDistribution(t, 'docker-registry'))
  for (const at of EVERY_POINT) {
    // At 100 % the layer is there, and the answer that would have told its new address is lost.
    const cut = typeof at === 'number'
    const { wire, events } = await killAt(scene, { at, layerBytes: LAYER, sessionLost: cut })
    const sentTwice = cut ? (LAYER * at) / 100 : 0
    assert.ok(wire <= LAYER + sentTwice + 4 * MIB, `${wire} bytes on the wire, killed at ${at}`)
    const told = events.some((event) => event.type === 'log' && event.message.includes('starts again'))
    assert.equal(told, cut, `killed at ${at}`)
  }
})
