import assert from 'node:assert/strict'
import { test } from 'node:test'
import { jobPage } from '../../../src/cli/view/job-page.ts'
import { jobsTable, packageOf } from '../../../src/cli/view/job-table.ts'
import type { Job, Problem, Transfer } from '../../../src/jobs/model/definitions.ts'
import { initialProgress } from '../../../src/jobs/record/record.ts'

const now = Date.parse('2026-03-01T12:00:00Z')
const createdAt = '2026-03-01T09:00:00.000Z'

const PROBLEM: Problem = {
  type: '/docs/errors#REGISTRY_UNAUTHORIZED',
  title: 'The registry refused the credentials',
  status: 502,
  detail: 'get a token: auth.example answered 401',
  code: 'REGISTRY_UNAUTHORIZED',
  retryable: false,
  hint: 'Its token service did not take the user "ann".',
  upstream: { registry: 'registry.example', repository: 'team/nemo', status: 401 },
}

function job(changes: Partial<Job> = {}): Job {
  return {
    id: '01a22857-3e6a-7196-8431-4336bc16b6e8',
    kind: 'publish',
    source: 'file:///packages/zarf-package-big-bang-amd64-2.1.0.tar.zst',
    destination: 'oci://registry.example:5000/team',
    options: {},
    labels: {},
    principal: 'ann',
    requestId: 'r-1',
    traceparent: null,
    package: null,
    state: 'running',
    reason: null,
    done: false,
    revision: 3,
    attempt: 2,
    createdAt,
    startedAt: createdAt,
    endedAt: null,
    progress: { ...initialProgress(createdAt), phase: 'transferring', bytesTotalEstimate: 1000, bytesDone: 456 },
    result: null,
    error: null,
    ...changes,
  }
}

const failed = job({ state: 'failed', done: true, error: PROBLEM, endedAt: createdAt })
const pulled = job({
  kind: 'pull',
  source: 'oci://ghcr.io/team/nemo:1.2.0',
  destination: null,
  state: 'queued',
  reason: 'no worker is running',
})

test('jobs are a line each where there is room, and two on 80 columns', () => {
  const jobs = [job(), failed, pulled]
  const wide = jobsTable(jobs, { now, columns: undefined }).split('\n')
  const archive = 'zarf-package-big-bang-amd64-2.1.0.tar.zst'
  const cells = wide.map((line) => line.split(/ {2,}/))
  assert.deepEqual(cells, [
    ['ID', 'KIND', 'STATE', 'AGE', 'TRY', 'PROGRESS', 'PACKAGE', 'FROM', 'TO'],
    [
      '01a22857-3e6a',
      'publish',
      'running',
      '3h',
      '2',
      '~45 %',
      'big-bang 2.1.0',
      archive,
      'registry.example:5000/team',
    ],
    [
      '01a22857-3e6a',
      'publish',
      'failed',
      '3h',
      '2',
      PROBLEM.code,
      'big-bang 2.1.0',
      archive,
      'registry.example:5000/team',
    ],
    [
      '01a22857-3e6a',
      'pull',
      'queued',
      '3h',
      '2',
      'no worker is running',
      'nemo 1.2.0',
      'ghcr.io/team/nemo:1.2.0',
      'store',
    ],
    [''],
  ])
  assert.deepEqual(jobsTable(jobs, { now, columns: 200 }).split('\n'), wide)
  const narrow = jobsTable(jobs, { now, columns: 80 }).trimEnd().split('\n')
  assert.equal(narrow.length, 7)
  for (const line of narrow) assert.ok(line.length <= 80, line)
  assert.match(narrow[3] ?? '', /REGISTRY_UNAUTHORIZED$/)
  assert.equal(narrow[6], '  nemo 1.2.0: ghcr.io/team/nemo:1.2.0 -> store')
})

test('a package is named by what was read of it, else by result, reference or file', () => {
  const named = (source: string, changes: Partial<Job> = {}) => packageOf(job({ source, ...changes }))
  const pilot = { name: 'pilot', version: '2.0.0', architecture: 'amd64', flavor: 'brass' }
  assert.equal(named('upload:01a22857-3e6a', { package: pilot }), 'pilot 2.0.0-brass')
  assert.equal(named('upload:01a22857-3e6a', { package: { ...pilot, version: null, flavor: null } }), 'pilot')
  assert.equal(named('file:///p/zarf-package-big-bang-amd64-2.1.0.tar.zst'), 'big-bang 2.1.0')
  assert.equal(named('file:///p/zarf-package-big-bang-amd64-2.1.0.tar.zst.part000'), 'big-bang 2.1.0')
  assert.equal(named('https://h/p/zarf-package-big-bang-amd64-2.1.0.tar'), 'big-bang 2.1.0')
  assert.equal(named(`store:sha256:${'a'.repeat(64)}`), '')
  assert.equal(named('file:///p/zarf-init-arm64-v0.82.0.tar.zst'), 'init v0.82.0')
  assert.equal(named('file:///p/some%20folder/'), 'some folder')
  assert.equal(named(`oci://r/a/nemo@sha256:${'a'.repeat(64)}`, { kind: 'pull' }), 'nemo')
  const result = {
    reference: 'oci://r/team/nemo:9',
    digest: '',
    architecture: 'amd64',
    layers: 1,
    bytes: 1,
    durationMs: 1,
  }
  assert.equal(named('upload:01a22857-3e6a-7196-8431-4336bc16b6e8', { result }), 'nemo 9')
})

test('the page of a job says what, where, since when, why not and what to do', () => {
  const page = jobPage(failed, [], now)
  assert.match(page, /^job +01a22857-3e6a-7196-8431-4336bc16b6e8\nwhat +publish big-bang 2\.1\.0\nstate +failed\n/)
  assert.match(page, /\nto +oci:\/\/registry\.example:5000\/team\n/)
  assert.match(page, /\nasked by +ann \(request r-1\)\n/)
  assert.match(page, /\nended +2026-03-01T09:00:00\.000Z \(3h ago\), after /)
  assert.match(
    page,
    /\nThe registry refused the credentials \(REGISTRY_UNAUTHORIZED\)\n.*401\n {2}at registry\.example team\/nemo\n {2}Its token service/,
  )
  const retrying: Transfer = {
    digest: 'sha256:1',
    title: 'components/a.tar',
    mediaType: 'x',
    size: 3,
    state: 'retrying',
    bytesDone: 1,
    attempt: 2,
    retryAt: '2026-03-01T12:00:05Z',
    error: PROBLEM,
  }
  const running = jobPage(
    job({ reason: 'waiting', options: { concurrency: 2 }, labels: { env: 'dev' } }),
    [retrying],
    now,
  )
  assert.match(running, /state +running: waiting\n[^]*options +concurrency=2\nlabels +env=dev\n/)
  assert.match(running, /\nlayers\n {2}retrying components\/a\.tar \(again at 2026-03-01T12:00:05Z\): get a token/)
})
