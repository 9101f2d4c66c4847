import assert from 'node:assert/strict'
import { test } from 'node:test'
import { registryPrograms } from '../helpers/registries/docker-registry.ts'
import { type CopySide, type CopyStop, startCopyStops } from '../helpers/sweeps/copy-stops.ts'

const MIB = 1024 * 1024
/** A kill takes some seconds: the dead worker's lock has to run out. */
const TIMEOUT_MS = 3_600_000
const SIDES: readonly CopySide[] = ['source', 'destination']
/** Of the large layer, and of the middle one. */
const MIDDLE = [0.07, 1.5, 5, 8.9].map((mib) => Math.round(mib * MIB))

for (const program of registryPrograms()) {
  for (const way of ['cancel', 'kill'] as const) {
    test(`a copy (${program}), ${way}ed at each call of either side`, { timeout: TIMEOUT_MS }, async (t) => {
      const stops = await startCopyStops(t, program)
      const { calls } = await stops.clean(t)
      const points = SIDES.flatMap((side): CopyStop[] => [
        ...Array.from({ length: calls[side] }, (_, at) => [
          { side, at: { call: at + 1 } },
          { side, at: { answer: at + 1 } },
        ]).flat(),
        ...MIDDLE.map((bytes) => ({ side, at: side === 'source' ? { down: bytes } : { up: bytes } })),
      ])
      let met = 0
      for (const point of points) {
        await t.test(`${point.side} ${JSON.stringify(point.at)}`, async (t) => {
          met += (await stops[way](t, point)).met ? 1 : 0
        })
      }
      assert.ok(met > points.length * 0.8, `only ${met} of ${points.length} points were reached`)
    })
  }
}
