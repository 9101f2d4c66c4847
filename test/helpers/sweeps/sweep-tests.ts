import assert from 'node:assert/strict'
import { test } from 'node:test'
import { registryPrograms } from '../registries/docker-registry.ts'
import { type Scene, startSweep, sweepPoints } from './sweep.ts'

/** Of one scene: some 250 runs of a second or two. */
const TIMEOUT_MS = 1_800_000

/** The k-th failure sweep of one scene over each registry: every call fails once, and the job succeeds all the same. */
export function failEachCall(scene: Scene): void {
  for (const program of registryPrograms()) {
    test(`${scene} (${program}), each call failing once`, { timeout: TIMEOUT_MS }, async (t) => {
      const sweep = await startSweep(t, scene, program)
      let points: ReturnType<typeof sweepPoints> = []
      await t.test('none fails', async (t) => {
        const clean = await sweep.run(t)
        assert.equal(clean.job.state, 'succeeded')
        assert.equal(clean.sessionsLeft, 0)
        assert.equal(clean.job.progress.bytesMounted > 0, scene === 'publish by mounts')
        points = sweepPoints(clean)
      })
      let met = 0
      for (const point of points) {
        await t.test(`${point.side} ${JSON.stringify(point.at)}`, async (t) => {
          const outcome = await sweep.run(t, point)
          assert.equal(outcome.job.state, 'succeeded', JSON.stringify(outcome.job.error))
          // A session that was opened by an answer that got lost is known to nobody.
          assert.ok(outcome.sessionsLeft <= 1, `${outcome.sessionsLeft} upload sessions are left`)
          met += outcome.met ? 1 : 0
        })
      }
      assert.ok(met > points.length * 0.8, `only ${met} of ${points.length} points were reached`)
    })
  }
}
