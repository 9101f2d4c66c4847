import assert from 'node:assert/strict'
import { test } from 'node:test'
import { registryPrograms } from '../helpers/registries/docker-registry.ts'
import { type CopyStop, startCopyStops } from '../helpers/sweeps/copy-stops.ts'

const MIB = 1024 * 1024

/** A few of the points that `npm run test:sweep` goes through. */
const POINTS: ReadonlyArray<['cancel' | 'kill', CopyStop]> = [
  ['cancel', { side: 'source', at: { call: 2 } }],
  ['cancel', { side: 'source', at: { down: 5 * MIB } }],
  ['cancel', { side: 'destination', at: { up: 5 * MIB } }],
  ['cancel', { side: 'destination', at: { answerTo: /^PUT .*\/manifests\/sha256/ } }],
  ['kill', { side: 'source', at: { down: 5 * MIB } }],
]

test('a copy that is stopped leaves no tag, and one whose worker is killed goes on', async (t) => {
  const program = registryPrograms().at(-1)
  assert.ok(program, 'no registry program is on PATH')
  const stops = await startCopyStops(t, program)
  for (const [way, stop] of POINTS) {
    await t.test(
      `${way} at ${stop.side} ${Object.keys(stop.at).join()} ${Object.values(stop.at).join()}`,
      async (t) => {
        const { met, tagged } = await stops[way](t, stop)
        assert.deepEqual([met, tagged], [true, way === 'kill'])
      },
    )
  }
})
