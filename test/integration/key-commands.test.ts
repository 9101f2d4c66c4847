import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import type { Job } from '../../src/jobs/model/definitions.ts'
import { FIXTURES } from '../helpers/packages/fixtures.ts'
import { pipeTerminal, runCommand } from '../helpers/processes/cli-program.ts'
import { startApp } from '../helpers/streams/http-app.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { cosignFile } from '../helpers/trust/cosign-file.ts'

const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const PASSWORD = 'pass-word-of-the-key'

/** The command line at a daemon's API that runs no job, in a folder with keys. */
async function bed(t: TestContext, changes: Parameters<typeof startApp>[1] = {}) {
  const started = await startApp(t, { kinds: new Set(['publish', 'copy', 'verify']), ...changes })
  const api = await started.listen()
  const folder = await tempDir(t)
  await writeFile(
    join(folder, 'cosign.key'),
    cosignFile(pair.privateKey.export({ type: 'pkcs8', format: 'der' }), PASSWORD),
  )
  await writeFile(join(folder, 'cosign.pub'), pair.publicKey.export({ type: 'spki', format: 'pem' }))
  const run = async (argv: readonly string[], input = '') => {
    const { terminal, out, err } = pipeTerminal(api)
    const stdin = (async function* () {
      yield input
    })()
    const exit = await runCommand(argv, { ...terminal, stdin, cwd: folder })
    const said = { out: out(), err: err() }
    assert.ok(!(said.out + said.err).includes(PASSWORD))
    return { exit, ...said }
  }
  return { ...started, folder, run }
}

test('layerd keys add, keys and keys rm keep a key, list it and forget it', async (t) => {
  const { run, keys } = await bed(t)
  const wrong = await run(['keys', 'add', 'release', 'cosign.key', '--password-stdin'], 'another\n')
  assert.equal(wrong.exit, 1)
  assert.match(wrong.err, /KEY_INVALID[^]*the password does not open the key/)
  const added = await run(['keys', 'add', 'release', 'cosign.key', '--password-stdin'], `${PASSWORD}\n`)
  assert.equal(added.exit, 0, added.err)
  assert.match(
    added.out,
    /^the key release is kept, to sign and to verify with: ECDSA P-256\n {2}sha256:[0-9a-f]{64}\n-----BEGIN PUBLIC KEY/,
  )
  const again = await run(['keys', 'add', 'release', 'cosign.pub'])
  assert.equal(again.exit, 1)
  assert.match(again.err, /there is a key release .*--replace/)
  const replaced = await run(['keys', 'add', 'release', 'cosign.pub', '--replace', '--json'])
  assert.partialDeepStrictEqual(JSON.parse(replaced.out), { name: 'release', kind: 'public' })
  const listed = await run(['keys'])
  assert.match(
    listed.out,
    /^KEY +KIND +ALGORITHM +FINGERPRINT +KEPT\nrelease +public +ECDSA P-256 +sha256:[0-9a-f]{12}… +\d{4}-\d\d-\d\d\n$/,
  )
  for (const line of listed.out.split('\n')) assert.ok(line.length <= 80, line)
  assert.equal((await run(['keys', '--json'])).out.split('\n').length, 2)
  assert.deepEqual(await run(['keys', 'rm', 'release']), { exit: 0, out: 'the key release is forgotten\n', err: '' })
  assert.equal((await run(['keys', 'rm', 'release'])).exit, 1)
  assert.deepEqual(await keys.list(), [])
})

test('a key of AWS KMS is kept with what AWS is shown for it', async (t) => {
  const pem = pair.publicKey.export({ type: 'spki', format: 'pem' }).toString()
  const asked: unknown[] = []
  const { run, keys } = await bed(t, {
    kmsPublicKey: async (key, { keys: shown, roleArn }) => {
      asked.push([key.keyId, key.region, shown?.accessKeyId ?? null, roleArn])
      return pem
    },
  })
  const ROLE = 'arn:aws:iam::123456789012:role/signer'
  const own = ['keys', 'add', 'own', '--kms', 'awskms:///alias/signing', '--region', 'eu-central-1', '--role-arn', ROLE]
  assert.equal((await run(own)).exit, 0)
  const given = JSON.stringify({ accessKeyId: 'AKIA1', secretAccessKey: PASSWORD })
  const arn = 'arn:aws:kms:us-east-1:123456789012:key/1f0e2d3c-0000-4000-8000-123456789012'
  assert.equal((await run(['keys', 'add', 'given', '--kms', arn, '--aws-stdin'], given)).exit, 0)
  assert.deepEqual(asked, [
    ['alias/signing', 'eu-central-1', null, ROLE],
    [arn, 'us-east-1', 'AKIA1', undefined],
  ])
  const [first, second] = await keys.list()
  assert.deepEqual([first?.kms?.accessKeyId, second?.kms?.roleArn], ['AKIA1', ROLE])
  assert.deepEqual((await keys.open('given')).secret, {
    aws: { kind: 'aws', keys: { accessKeyId: 'AKIA1', secretAccessKey: PASSWORD }, metadata: false },
  })
})

const MISUSED: ReadonlyArray<[argv: string[], says: RegExp]> = [
  [['keys', 'add', 'a'], /name the file of the key, or --kms/],
  [['keys', 'add', 'a', 'cosign.key', '--kms', 'alias/x'], /exclude each other/],
  [['keys', 'add', 'a', 'cosign.key', '--region', 'x'], /go with --kms/],
  [['keys', 'add', 'a', '--kms', 'alias/x', '--password-stdin'], /goes with a file/],
  [['keys', 'add', 'a', '--kms', 'alias/x', '--aws-stdin'], /reads JSON/],
  [['verify', 'oci://a.example/b:1', '--key', 'cosign.pub', '--key-ref', 'a'], /--key and --key-ref exclude/],
  [
    ['verify', 'oci://a.example/b:1', '--key-ref', 'a', '--identity', 'x', '--issuer', 'y'],
    /--key-ref and --identity exclude/,
  ],
]
test('what does not go together is told as wrong use', async (t) => {
  const { run } = await bed(t)
  for (const [argv, says] of MISUSED) {
    const { exit, err } = await run(argv)
    assert.equal(exit, 2, argv.join(' '))
    assert.match(err, says)
  }
  assert.equal((await run(['keys', 'add', 'a', 'none.key'])).exit, 1)
  assert.equal((await run(['keys', 'add', 'a', '/dev/zero'])).exit, 1)
})

test('--sign and --key-ref stand in the job', async (t) => {
  const { run, app } = await bed(t, { fileRoots: [join(FIXTURES.nemoAmd64, '..')] })
  await run(['keys', 'add', 'release', 'cosign.key', '--password-stdin'], `${PASSWORD}\n`)
  const both = ['--sign', 'release', '--key-ref', 'release', '--detach']
  const jobs = [
    await run(['publish', FIXTURES.nemoAmd64, 'oci://registry.example/team', ...both]),
    await run(['copy', 'oci://registry.example/team/nemo:1.2.0', 'oci://other.example/team', ...both]),
  ]
  assert.deepEqual(
    jobs.map(({ exit, err }) => [exit, err]),
    [
      [0, ''],
      [0, ''],
    ],
  )
  const { items } = (await app.inject('/v1/jobs')).json<{ items: Job[] }>()
  for (const { options } of items) {
    assert.deepEqual(options, { sign: { keyRef: 'release' }, verify: { keyRef: 'release' } })
  }
  assert.equal(items.length, 2)
})
