import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type JobAffair, placesOfJob } from '../../../../src/jobs/model/places.ts'

const NOTHING = { source: 'file:/p.tar', destination: null, result: null }

function places(job: Partial<JobAffair> & Pick<JobAffair, 'kind'>): string[] {
  return placesOfJob({ ...NOTHING, ...job }).map(({ registry, repository }) => `${registry} ${repository}`)
}

test('a job is about the repositories that it reads and writes, all of them', () => {
  const source = 'oci://r.example/team/nemo:1'
  const destination = 'oci://other.example:5000/mirror'
  const published = { kind: 'publish', destination } as const
  const cases: Array<[job: Parameters<typeof places>[0], expected: string[]]> = [
    [{ kind: 'pull', source, destination: 'store:' }, ['r.example team/nemo']],
    [{ kind: 'pull', source, destination: 'file:/folder' }, ['r.example team/nemo']],
    [{ kind: 'pull', source: `${source}@sha256:${'0'.repeat(64)}` }, ['r.example team/nemo']],
    [{ kind: 'verify', source }, ['r.example team/nemo']],
    [{ kind: 'verify' }, []],
    [{ kind: 'verify', source: `store:sha256:${'0'.repeat(64)}` }, []],
    [{ kind: 'copy', source, destination }, ['r.example team/nemo', 'other.example:5000 mirror/nemo']],
    [
      { kind: 'copy', source: 'oci://r.example/nemo', destination: 'oci://r.example' },
      ['r.example nemo', 'r.example nemo'],
    ],
    [published, ['other.example:5000 mirror/*']],
    [{ ...published, destination: 'oci://r.example' }, ['r.example *']],
    [
      { ...published, result: { reference: 'oci://other.example:5000/mirror/nemo:1' } },
      ['other.example:5000 mirror/nemo'],
    ],
    [{ kind: 'deploy', source }, ['r.example team/nemo']],
    [{ kind: 'delete', source }, ['r.example team/nemo']],
  ]
  for (const [job, expected] of cases) assert.deepEqual(places(job), expected, JSON.stringify(job))
})

test('what cannot be read is about nothing, so that it is covered by nobody', () => {
  assert.deepEqual(
    places({ kind: 'copy', source: 'oci://r.example/team/nemo:1', destination: 'oci://r.example/UPPER' }),
    [],
  )
  assert.deepEqual(places({ kind: 'pull', source: 'oci://' }), [])
  assert.deepEqual(places({ kind: 'publish', destination: 'oci://r.example/a', result: { reference: '' } }), [])
})
