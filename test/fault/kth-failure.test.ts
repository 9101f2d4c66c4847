import assert from 'node:assert/strict'
import { test } from 'node:test'
import { registryPrograms } from '../helpers/registries/docker-registry.ts'
import { type Scene, startSweep, type SweepPoint } from '../helpers/sweeps/sweep.ts'

/** A few of the points that `npm run test:sweep` goes through: calls by their place in the run, 0 to 1. */
const SAMPLES: ReadonlyArray<{ scene: Scene; points: ReadonlyArray<[SweepPoint['side'], 'call' | 'answer', number]> }> =
  [
    {
      scene: 'publish tar.zst',
      points: [
        ['registry', 'answer', 0.5],
        ['registry', 'answer', 0.97],
        ['redis', 'call', 0.4],
        ['redis', 'answer', 0.9],
      ],
    },
    {
      scene: 'copy to',
      points: [
        ['registry', 'answer', 0.5],
        ['redis', 'answer', 0.8],
      ],
    },
    { scene: 'copy from', points: [['registry', 'answer', 0.6]] },
    {
      scene: 'pull to a folder',
      points: [
        ['registry', 'answer', 0.8],
        ['redis', 'answer', 0.6],
      ],
    },
  ]

for (const { scene, points } of SAMPLES) {
  test(`${scene} goes on although a call fails`, async (t) => {
    const [program] = registryPrograms()
    assert.ok(program, 'no registry program is on PATH')
    const sweep = await startSweep(t, scene, program)
    const { exchanges } = await sweep.run(t)
    for (const [side, moment, place] of points) {
      const k = Math.ceil(exchanges[side].length * place)
      await t.test(`${side}, ${moment} ${k}`, async (t) => {
        const { job, sessionsLeft } = await sweep.run(t, { side, at: moment === 'call' ? { call: k } : { answer: k } })
        assert.equal(job.state, 'succeeded', JSON.stringify(job.error))
        assert.ok(sessionsLeft <= 1, `${sessionsLeft} upload sessions are left`)
      })
    }
  })
}
