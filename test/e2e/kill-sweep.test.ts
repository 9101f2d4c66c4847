import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertResumed, killAt, startSweep, startSweptDistribution } from '../helpers/kill-sweep.ts'
import { skipWithout } from '../helpers/real-tools.ts'

const MIB = 1024 * 1024
const LAYER = 24 * MIB

test('a worker killed in the middle of a layer: another one sends what distribution 3 lacks', async (t) => {
  if (skipWithout(t, 'registry')) return
  const scene = await startSweep(t, await startSweptDistribution(t, 'registry'))
  for (const at of [0, 'commit'] as const) assertResumed(await killAt(scene, { at, layerBytes: LAYER }), at)
  // A compressed archive is read from its start again, and the layer goes on all the same.
  assertResumed(await killAt(scene, { at: 55, layerBytes: LAYER, format: 'tar.zst' }), 55)
})

test('a worker killed in the middle of a layer: where distribution 2.8 has lost it, it starts again and says so', async (t) => {
  if (skipWithout(t, 'docker-registry')) return
  const scene = await startSweep(t, await startSweptDistribution(t, 'docker-registry'))
  const { job, events, wire } = await killAt(scene, { at: 50, layerBytes: LAYER, sessionLost: true })
  assert.ok(wire >= 1.5 * LAYER && wire < 1.75 * LAYER, `${wire} bytes on the wire`)
  assert.equal(job.progress.bytesResumed, 0)
  const told = events.flatMap((event) => (event.type === 'log' ? [event.message] : []))
  const reason =
    /swept\/swept-1: the upload of components\/layer-0000\.tar starts again: its status was answered with 404/
  assert.ok(
    told.some((message) => reason.test(message)),
    told.join('\n'),
  )
})
