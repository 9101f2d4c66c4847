import { test } from 'node:test'
import {
  assertAtRest,
  assertResumed,
  assertStartedAgain,
  killAt,
  type KillPoint,
  startSweep,
  startSweptDistribution,
} from '../helpers/sweeps/kill-sweep.ts'
import { skipWithout } from '../helpers/processes/real-tools.ts'
import { startZot } from '../helpers/registries/zot.ts'

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
    await assertAtRest(scene)
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
    const outcome = await killAt(scene, { at, layerBytes: LAYER, sessionLost: cut })
    if (cut) assertStartedAgain(outcome, 'its status was answered with 404')
    else assertResumed(outcome, at)
    t.diagnostic(`${at}: ${outcome.wire} on the wire`)
  }
})

test('a worker killed at any point of a layer: zot begins again where a request was cut, and only there', {
  timeout: LONG_MS,
}, async (t) => {
  if (skipWithout(t, 'zot')) return
  const scene = await startSweep(t, await startZot(t))
  for (const at of EVERY_POINT) {
    const outcome = await killAt(scene, { at, layerBytes: LAYER })
    if (at === 100 || at === 'commit') assertResumed(outcome, at)
    else assertStartedAgain(outcome, 'its status was answered with 404')
    t.diagnostic(`${at}: ${outcome.job.progress.bytesResumed} resumed, ${outcome.wire} on the wire`)
  }
  await assertAtRest(scene)
})
