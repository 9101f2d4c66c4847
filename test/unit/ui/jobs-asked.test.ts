import assert from 'node:assert/strict'
import { test } from 'node:test'
import { failureOf } from '../../../src/ui/format/job-words.ts'
import { asCurl } from '../../../src/ui/pages/job/as-curl.ts'
import { getItLines } from '../../../src/ui/pages/job/get-it.ts'
import { signatureText } from '../../../src/ui/pages/job/result-words.ts'
import { filledOf, joinedOptions, optionsOf } from '../../../src/ui/pages/new/options.ts'
import { hostOf, registrySidesOf } from '../../../src/ui/state/logins.ts'

type Job = Parameters<typeof getItLines>[0]
const HERE = { origin: 'http://127.0.0.1:8420', token: false }
const DIGEST = `sha256:${'a'.repeat(64)}`

function job(changes: object): Job {
  const result = { reference: 'oci://ghcr.io/team/nemo:1.2.0', digest: DIGEST, architecture: 'amd64' }
  return { kind: 'publish', options: {}, source: 'file:/a', destination: null, labels: {}, result, ...changes } as Job
}

test('options of a job fill the fields, and are the same again when they are asked for', () => {
  const asked = {
    tag: 'v1',
    concurrency: 3,
    plainHttp: true,
    trace: false,
    manifest: 'image',
    sign: { keyRef: 'team' },
    verify: { mode: 'if-possible', keyRef: 'theirs', key: '-----BEGIN PUBLIC KEY-----\n' },
  }
  const { said, rest } = filledOf('publish', asked)
  assert.deepEqual(said, {
    tag: 'v1',
    concurrency: '3',
    plainHttp: true,
    'sign.keyRef': 'team',
    'verify.keyRef': 'theirs',
    'verify.key': '-----BEGIN PUBLIC KEY-----\n',
  })
  assert.deepEqual(rest, { trace: false, manifest: 'image', verify: { mode: 'if-possible' } })
  assert.deepEqual(joinedOptions(rest, optionsOf('publish', said)), asked)
})

test('a list that a field would tell otherwise is kept as it is', () => {
  const pull = { components: ['a', '-b'], images: ['two words'] }
  const copy = { architectures: 'all', tags: ['1.*'] }
  for (const [kind, asked] of [['pull', pull] as const, ['copy', copy] as const]) {
    const { said, rest } = filledOf(kind, asked)
    assert.deepEqual(joinedOptions(rest, optionsOf(kind, said)), asked)
  }
  assert.deepEqual(filledOf('copy', copy).rest, { architectures: 'all' })
})

test('a job talks to the registries of its addresses', () => {
  const sides = (source: string, destination: string | null) => registrySidesOf({ source, destination })
  assert.deepEqual(sides('oci://a.example/x', 'oci://b.example/y'), ['source', 'destination'])
  assert.deepEqual(sides('file:/x', 'oci://b.example/y'), ['destination'])
  assert.deepEqual(sides('oci://a.example/x', 'store:'), ['source'])
  assert.deepEqual(sides('store:sha256:0', null), [])
  assert.equal(hostOf('oci://a.example:5000/x/y:1'), 'a.example:5000')
})

test('the tools get what was put, by the digest where the tag has several', () => {
  const lines = getItLines(job({ options: { plainHttp: true } }), HERE)
  assert.deepEqual(
    lines.map(({ line }) => line),
    [
      "zarf package pull --plain-http -a 'amd64' 'oci://ghcr.io/team/nemo:1.2.0'",
      "uds zarf package pull --plain-http -a 'amd64' 'oci://ghcr.io/team/nemo:1.2.0'",
      `oras pull --plain-http 'ghcr.io/team/nemo@${DIGEST}'`,
      "layerd pull --plain-http 'oci://ghcr.io/team/nemo:1.2.0'",
    ],
  )
  const stored = { result: { reference: '', digest: DIGEST, architecture: 'amd64', archive: '/v1/packages/x/archive' } }
  assert.match(getItLines(job({ kind: 'pull', ...stored }), { ...HERE, token: true })[0]?.line ?? '', /LAYERD_TOKEN/)
  const dry = { reference: 'oci://a/b:1', digest: DIGEST, architecture: 'amd64', plan: {} }
  assert.deepEqual(getItLines(job({ result: dry }), HERE), [])
  const patterns = { reference: 'oci://a/b', digest: '', architecture: '', tags: ['1.0.0'] }
  assert.deepEqual(getItLines(job({ kind: 'copy', result: patterns }), HERE), [])
})

test('a token stands in a line for curl by the name of its variable alone, where one is wanted', () => {
  assert.doesNotMatch(asCurl(job({}), HERE), /authorization/)
  assert.match(asCurl(job({}), { ...HERE, token: true }), /-H "authorization: Bearer \$LAYERD_TOKEN"/)
})

test('of a failure it is told how far it came, and of a signature what was checked', () => {
  const progress = { bytesDone: 1024, bytesTotal: 2048, bytesTotalEstimate: null }
  const times = { startedAt: '2026-11-30T00:00:00Z', endedAt: '2026-11-30T00:02:00Z' }
  const told = (changes: object) => failureOf({ attempt: 1, progress, ...times, ...changes } as never)
  assert.equal(told({ attempt: 3 }), 'failed after 2 min and 3 attempts; 1.0 KiB of 2.0 KiB were there')
  assert.equal(
    told({ progress: { ...progress, bytesDone: 0, bytesTotal: null } }),
    'failed after 2 min; nothing had moved',
  )
  const key = { fingerprint: 'sha256:ab' }
  assert.equal(signatureText({ form: 'bundle', key, verified: true, reason: null }), 'verified: key sha256:ab')
  assert.equal(
    signatureText({ form: 'base64', key: { fingerprint: null }, verified: false, reason: 'another key' }),
    'not verified: a key that is not named (of the old form); another key',
  )
})
