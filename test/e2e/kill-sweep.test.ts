import { test } from 'node:test'
import {
  assertAtRest,
  assertResumed,
  assertStartedAgain,
  killAt,
  startSweep,
  startSweptDistribution,
} from '../helpers/sweeps/kill-sweep.ts'
import { skipWithout } from '../helpers/processes/real-tools.ts'
import { startZot } from '../helpers/registries/zot.ts'

const MIB = 1024 * 1024
const LAYER = 24 * MIB

test('a worker killed in the middle of a layer: another one sends what distribution 3 lacks', async (t) => {
  if (skipWithout(t, 'registry')) return
  const scene = await startSweep(t, await startSweptDistribution(t, 'registry'))
  for (const at of [0, 'commit'] as const) assertResumed(await killAt(scene, { at, layerBytes: LAYER }), at)
  // A compressed archive is read from its start again, and the layer goes on all the same.
  assertResumed(await killAt(scene, { at: 55, layerBytes: LAYER, format: 'tar.zst' }), 55)
  await assertAtRest(scene)
})

test('a worker killed in the middle of a layer: where distribution 2.8 has lost it, it starts again and says so', async (t) => {
  if (skipWithout(t, 'docker-registry')) return
  const scene = await startSweep(t, await startSweptDistribution(t, 'docker-registry'))
  const outcome = await killAt(scene, { at: 50, layerBytes: LAYER, sessionLost: true })
  assertStartedAgain(outcome, 'its status was answered with 404')
})

test('a worker killed in the middle of a layer: zot drops the session, and has what a whole request brought', async (t) => {
  if (skipWithout(t, 'zot')) return
  const scene = await startSweep(t, await startZot(t))
  assertStartedAgain(await killAt(scene, { at: 50, layerBytes: LAYER }), 'its status was answered with 404')
  assertResumed(await killAt(scene, { at: 100, layerBytes: LAYER }), 100)
})
