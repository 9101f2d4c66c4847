import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  createLearnedFacts,
  learnCut,
  learnBounds,
  learnKept,
  learnRequest,
  learnTooLarge,
  type LearnedUploads,
} from '../../../../../src/oci/facts/learned-facts.ts'
import { registryProfile } from '../../../../../src/oci/facts/registry-profile.ts'
import { mustShrink, nextStep, type UploadAt } from '../../../../../src/oci/push/parts/upload-plan.ts'

const MIB = 1024 * 1024
const GIB = 1024 * MIB
const UNKNOWN = 'registry.example.com'

type Step = { send: string; end?: number; commits?: boolean }

const stream: Step = { send: 'stream' }
const whole: Step = { send: 'whole' }
const part = (end: number, commits = false) => ({ send: 'part', end, commits })

const TABLE: readonly [what: string, host: string, learned: LearnedUploads, at: [number, number], step: Step][] = [
  ['a small blob', UNKNOWN, {}, [8 * MIB, 0], whole],
  ['a small blob after cuts', UNKNOWN, { cutKeeps: 'nothing' }, [8 * MIB, 0], whole],
  [
    'a small blob on a link too slow for it',
    UNKNOWN,
    { cutKeeps: 'nothing', bytesPerSecond: 200_000, parts: 'taken' },
    [8 * MIB, 0],
    part(MIB),
  ],
  ['a large one at first', UNKNOWN, {}, [20 * GIB, 0], stream],
  ['a fast link', UNKNOWN, { bytesPerSecond: GIB }, [20 * GIB, 0], stream],
  ['what a cut left', UNKNOWN, {}, [20 * GIB, GIB], part(2 * GIB)],
  ['a cut that cost nothing', UNKNOWN, { cutKeeps: 'bytes' }, [900 * MIB, MIB], part(900 * MIB)],
  ['a cut that cost all', UNKNOWN, { cutKeeps: 'nothing' }, [GIB, 0], part(8 * MIB)],
  ['a cut that cost its request', UNKNOWN, { cutKeeps: 'parts' }, [GIB, 0], part(8 * MIB)],
  ['before the second part', UNKNOWN, { cutKeeps: 'nothing', bytesPerSecond: GIB }, [GIB, 8 * MIB], part(16 * MIB)],
  [
    'ten seconds of it',
    UNKNOWN,
    { cutKeeps: 'nothing', bytesPerSecond: 5.05 * MIB, parts: 'taken' },
    [GIB, 8 * MIB],
    part(58 * MIB),
  ],
  [
    'a slow link',
    UNKNOWN,
    { cutKeeps: 'nothing', bytesPerSecond: 20_000, parts: 'taken' },
    [GIB, 8 * MIB],
    part(9 * MIB),
  ],
  ['the last part', UNKNOWN, { cutKeeps: 'nothing', parts: 'taken' }, [10 * MIB, 8 * MIB], part(10 * MIB)],
  ['all in one part', UNKNOWN, { cutKeeps: 'nothing', bytesPerSecond: GIB, parts: 'taken' }, [GIB, 0], stream],
  [
    'a deadline that will not be met',
    UNKNOWN,
    { deadlineMs: 60_000, bytesPerSecond: 2 * MIB, parts: 'taken' },
    [GIB, 0],
    part(20 * MIB),
  ],
  ['a deadline that will', UNKNOWN, { deadlineMs: 60_000, bytesPerSecond: 100 * MIB }, [GIB, 0], stream],
  [
    'a short deadline',
    UNKNOWN,
    { deadlineMs: 6000, bytesPerSecond: 10 * MIB, parts: 'taken' },
    [GIB, 0],
    part(20 * MIB),
  ],
  ['parts that were refused', UNKNOWN, { cutKeeps: 'nothing', parts: 'refused' }, [GIB, 0], stream],
  ['a body that was too large', UNKNOWN, { maxBodyBytes: 4 * MIB }, [GIB, 0], part(4 * MIB)],
  ['a small one that was too large', UNKNOWN, { maxBodyBytes: MIB }, [3 * MIB, 0], part(MIB)],
  ['the least the registry takes', UNKNOWN, { cutKeeps: 'parts', minPartBytes: 32 * MIB }, [GIB, 0], part(32 * MIB)],
  ['the most the registry takes', UNKNOWN, { maxPartBytes: 100_000_000 }, [GIB, 0], part(8 * MIB)],
  [
    'the same on a fast link',
    UNKNOWN,
    { maxPartBytes: 100_000_000, parts: 'equal', bytesPerSecond: GIB },
    [GIB, 0],
    part(100_000_000),
  ],
  ['what it takes at once', UNKNOWN, { maxPartBytes: 100_000_000 }, [100_000_000, 0], stream],
  ['a small blob that is more than it takes', UNKNOWN, { maxPartBytes: 5 * MIB }, [7 * MIB, 0], part(5 * MIB)],
  ['less than a MiB at a time', UNKNOWN, { maxPartBytes: 100_000 }, [7 * MIB, 0], part(100_000)],
  ['more than a GiB at a time', UNKNOWN, { cutKeeps: 'parts', minPartBytes: 2 * GIB }, [9 * GIB, 0], part(2 * GIB)],
  ['no more parts than storage takes', UNKNOWN, { cutKeeps: 'parts' }, [100 * GIB, 0], part(26 * MIB)],
  ['equal parts, and no need of any', UNKNOWN, { parts: 'equal' }, [GIB, 0], stream],
  [
    'a very large one, before the second part',
    UNKNOWN,
    { cutKeeps: 'nothing', bytesPerSecond: GIB },
    [20 * GIB, 0],
    part(80 * MIB),
  ],
  ['the same on a slow link', UNKNOWN, { cutKeeps: 'nothing', bytesPerSecond: 2 * MIB }, [20 * GIB, 0], part(20 * MIB)],
  ['ECR at first', '1234.dkr.ecr.eu-west-1.amazonaws.com', {}, [GIB, 0], stream],
  [
    'ECR after a cut',
    'public.ecr.aws',
    { cutKeeps: 'nothing', parts: 'taken', bytesPerSecond: GIB },
    [GIB, 0],
    part(10 * MIB),
  ],
  [
    'ECR, slow',
    'public.ecr.aws',
    { cutKeeps: 'nothing', parts: 'taken', bytesPerSecond: 1000 },
    [GIB, 0],
    part(5 * MIB),
  ],
  ['the end at ECR', 'public.ecr.aws', { cutKeeps: 'nothing' }, [12 * MIB, 8 * MIB], part(12 * MIB, true)],
  ['GHCR, fast', 'ghcr.io', { bytesPerSecond: 50 * MIB }, [GIB, 0], stream],
  ['GHCR, too slow for its ten minutes', 'ghcr.io', { bytesPerSecond: MIB, parts: 'taken' }, [GIB, 0], part(4 * MIB)],
  ['GHCR after a cut', 'ghcr.io', {}, [GIB, 100 * MIB], part(104 * MIB)],
  ['GAR', 'europe-docker.pkg.dev', {}, [GIB, 0], whole],
  ['GAR after a cut', 'gcr.io', { cutKeeps: 'nothing' }, [GIB, 0], whole],
  ['Docker Hub', 'docker.io', {}, [GIB, 0], stream],
  [
    'Docker Hub after a cut',
    'docker.io',
    { cutKeeps: 'nothing', parts: 'taken', bytesPerSecond: GIB },
    [GIB, 0],
    part(100 * MIB),
  ],
]

function sent(at: UploadAt, learned: LearnedUploads, host = UNKNOWN): Step {
  const step = nextStep(at, registryProfile(host), learned)
  return step.send === 'part' ? part(step.end, step.commits) : step
}

for (const [what, host, learned, [size, offset], step] of TABLE) {
  test(`the next request: ${what}`, () => {
    assert.deepEqual(sent({ size, offset }, learned, host), step)
  })
}

test('a session’s parts stay as they are, whatever is learnt meanwhile', () => {
  const grid = { from: MIB, bytes: 8 * MIB }
  const learnt: LearnedUploads[] = [
    {},
    { cutKeeps: 'bytes', parts: 'taken', bytesPerSecond: GIB },
    { cutKeeps: 'parts', parts: 'taken', bytesPerSecond: GIB },
    { cutKeeps: 'parts', parts: 'equal', bytesPerSecond: 1000 },
    { parts: 'refused' },
  ]
  for (const learned of learnt) {
    assert.deepEqual(sent({ size: GIB, offset: 9 * MIB, grid }, learned), part(17 * MIB))
    // What a cut left of one.
    assert.deepEqual(sent({ size: GIB, offset: 12 * MIB, grid }, learned), part(17 * MIB))
    assert.deepEqual(sent({ size: 16 * MIB, offset: 12 * MIB, grid }, learned), part(16 * MIB))
  }
})

test('what a cut left of a part is no part by itself where it is less than one may be', () => {
  const at = { size: GIB, offset: 5 * MIB, grid: { from: 0, bytes: 8 * MIB } }
  assert.deepEqual(sent(at, { minPartBytes: 3 * MIB }), part(8 * MIB))
  assert.deepEqual(sent(at, { minPartBytes: 4 * MIB }), part(13 * MIB))
})

test('parts become smaller in a session when two in a row broke off, or one may not be so large', () => {
  const at = { size: GIB, offset: 0, grid: { from: 0, bytes: 16 * MIB } }
  const shrinks = (cuts: number, learned: LearnedUploads, rest = at) =>
    mustShrink({ ...rest, cuts }, registryProfile(UNKNOWN), { parts: 'taken', ...learned })
  assert.equal(shrinks(0, {}), false)
  assert.equal(shrinks(0, { maxBodyBytes: 15 * MIB }), true)
  assert.equal(shrinks(0, { maxPartBytes: 15 * MIB }), true)
  const slow = { bytesPerSecond: MIB }
  assert.deepEqual(
    [0, 1, 2].map((cuts) => shrinks(cuts, slow)),
    [false, false, true],
  )
  assert.equal(shrinks(2, { bytesPerSecond: 2 * MIB }), false, 'it would not be smaller')
  assert.equal(shrinks(1, { ...slow, deadlineMs: 19_000 }), true, 'the next one would be cut as well')
  assert.equal(shrinks(1, { ...slow, deadlineMs: 21_000 }), false)
  assert.equal(shrinks(0, { ...slow, deadlineMs: 19_000 }), false)
})

test('bounds of parts are numbers of bytes that an upload comes to an end with', () => {
  for (const [least, most, learnt] of [
    ['5242880', '100000000', { minPartBytes: 5_242_880, maxPartBytes: 100_000_000 }],
    [undefined, undefined, {}],
    ['0', '0', {}],
    ['-1', '1e9', {}],
    ['Infinity', 'NaN', {}],
    ['', ' ', {}],
    ['1', '1', { minPartBytes: 1 }],
    ['9'.repeat(400), '9'.repeat(400), {}],
  ] as const) {
    const { uploads } = createLearnedFacts()
    learnBounds(uploads, { least, most })
    assert.deepEqual(uploads, learnt, `${least} ${most}`)
  }
})

test('registries are known by their host, whatever port or name it goes by', () => {
  const names = Object.entries({
    'docker.io': 'hub',
    'registry-1.docker.io': 'hub',
    'ghcr.io:443': 'ghcr',
    'GHCR.io': 'ghcr',
    'quay.io': 'quay',
    'mine.azurecr.io': 'acr',
    '123456789012.dkr.ecr.us-gov-west-1.amazonaws.com': 'ecr',
    'us-central1-docker.pkg.dev': 'gar',
    'eu.gcr.io': 'gar',
    'registry.gitlab.com': 'gitlab',
    'ghcr.io.example.com': 'unknown',
    '127.0.0.1:5000': 'unknown',
  })
  for (const [host, name] of names) {
    assert.equal(registryProfile(host).name, name, host)
  }
})

test('two cuts at about the same age are a deadline, a longer request is none', () => {
  const { uploads } = createLearnedFacts()
  learnCut(uploads, { bytes: 600 * MIB, ms: 60_300 })
  assert.equal(uploads.deadlineMs, undefined)
  assert.equal(uploads.bytesPerSecond, (600 * MIB * 1000) / 60_300)
  learnCut(uploads, { bytes: 500 * MIB, ms: 60_100 })
  assert.equal(uploads.deadlineMs, 60_100)
  learnRequest(uploads, { bytes: MIB, ms: 50_000 })
  assert.equal(uploads.deadlineMs, 60_100)
  learnRequest(uploads, { bytes: MIB, ms: 100_000 })
  assert.equal(uploads.deadlineMs, undefined)
})

test('resets soon after the start, and cuts here and there, are no deadline', () => {
  const { uploads } = createLearnedFacts()
  for (const ms of [300, 310, 20_000, 60_000, 30_000]) learnCut(uploads, { bytes: 9 * MIB, ms })
  assert.equal(uploads.deadlineMs, undefined)
})

test('a request that outlives the last cut makes the parts as long as before', () => {
  const uploads: LearnedUploads = { cutKeeps: 'parts', parts: 'taken', bytesPerSecond: 10 * MIB }
  learnCut(uploads, { bytes: 9 * MIB, ms: 600 })
  assert.deepEqual(sent({ size: GIB, offset: 0 }, uploads), part(10 * MIB))
  learnRequest(uploads, { bytes: 10 * MIB, ms: 1000 })
  assert.deepEqual(sent({ size: GIB, offset: 0 }, uploads), part(100 * MIB))
})

test('a link that brought little in a long time is slow, whatever it was before; one that was cut at once may not be', () => {
  const uploads: LearnedUploads = { bytesPerSecond: 10 * MIB }
  learnCut(uploads, { bytes: MIB, ms: 100 })
  assert.equal(uploads.bytesPerSecond, 10 * MIB)
  learnCut(uploads, { bytes: 6 * MIB, ms: 60_000 })
  assert.equal(uploads.bytesPerSecond, (6 * MIB) / 60)
  learnCut(uploads, { bytes: 60 * MIB, ms: 60_000 })
  assert.equal(uploads.bytesPerSecond, (6 * MIB) / 60, 'what went out is no proof of what got through')
})

test('what a cut leaves is learnt from large requests, and from long ones', () => {
  const { uploads } = createLearnedFacts()
  learnKept(uploads, MIB, 0)
  assert.equal(uploads.cutKeeps, undefined)
  learnCut(uploads, { bytes: MIB, ms: 300 })
  learnKept(uploads, MIB, 'no session')
  assert.equal(uploads.cutKeeps, undefined)
  const slow: LearnedUploads = { cutAfterMs: 60_000 }
  learnKept(slow, 6 * MIB, 'no session')
  assert.equal(slow.cutKeeps, 'nothing')
  learnKept(uploads, 9 * MIB, 0)
  assert.equal(uploads.cutKeeps, 'parts')
  learnKept(uploads, 9 * MIB, 5 * MIB)
  assert.equal(uploads.cutKeeps, 'bytes')
  learnKept(uploads, 9 * MIB, 'no session')
  assert.equal(uploads.cutKeeps, 'nothing')
})

test('a body that is too large is halved down to a MiB', () => {
  const { uploads } = createLearnedFacts()
  assert.ok(learnTooLarge(uploads, 5 * MIB))
  assert.equal(uploads.maxBodyBytes, 2 * MIB)
  assert.ok(learnTooLarge(uploads, 2 * MIB))
  assert.equal(uploads.maxBodyBytes, MIB)
  assert.equal(learnTooLarge(uploads, MIB), false)
})
