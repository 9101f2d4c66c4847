import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { copyFile, mkdir, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { test } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import type { JobEvent } from '../../src/jobs/model/definitions.ts'
import { FIXTURES, publishedManifest } from '../helpers/packages/fixtures.ts'
import { lines, startBed } from '../helpers/processes/cli-bed.ts'
import { findProgram, skipWithout } from '../helpers/processes/real-tools.ts'
import { startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { createSigningKey } from '../helpers/trust/authority.ts'

const FINGERPRINT = 'sha256:6d4822509ebd73be715140a86c7863352361ed5fd2325b24501ec1d7a10c5a65'
const DIGEST = digestOf(publishedManifest('signedNemo'))
const KEY = ['--key', FIXTURES.signedNemoKey]

test('a signed package is verified in each place by commands alone', async (t) => {
  const { run, root } = await startBed(t)
  const registry = await startDockerRegistry(t)
  const path = join(root, basename(FIXTURES.signedNemo))
  await copyFile(FIXTURES.signedNemo, path)
  const other = join(await tempDir(t), 'other.pub')
  await writeFile(other, createSigningKey().pem)
  const destination = `oci://${registry.host}/team`
  const reference = `${destination}/nemo:1.2.0`

  await t.test('publish sends nothing of what somebody else signed', async () => {
    const refused = await run(['publish', path, destination, '--key', other])
    assert.equal(refused.code, 1)
    assert.match(refused.stderr, /SIGNATURE_UNTRUSTED/)
    assert.match(refused.stderr, new RegExp(`found the key ${FINGERPRINT}, wanted the key sha256:`))
    assert.equal((await run(['inspect', reference])).code, 1)
    const { code, stderr } = await run(['publish', path, destination, ...KEY])
    assert.equal(code, 0, stderr)
  })

  await t.test('verify tells what it found, of the registry, the store and a file', async () => {
    assert.equal((await run(['pull', reference, '--store', '-a', 'amd64', ...KEY])).code, 0)
    for (const what of [[reference, '-a', 'amd64'], [DIGEST], [path], [FIXTURES.signedNemo]]) {
      const { code, stderr } = await run(['verify', ...what, ...KEY])
      assert.equal(code, 0, stderr)
      assert.match(stderr, /verify succeeded: /)
      assert.match(stderr, new RegExp(`\\n {2}${DIGEST}\\n {2}checksums hold: 20 files, `))
      assert.match(stderr, new RegExp(`bundle signature, key ${FINGERPRINT}: verified\\n`))
    }
    const unasked = await run(['verify', reference, '-a', 'amd64'])
    assert.match(unasked.stderr, /: not verified \(it was not checked/)
    const { stdout } = await run(['verify', reference, '-a', 'amd64', '--json', ...KEY])
    const end = lines<JobEvent>(stdout).find(({ type }) => type === 'end')
    assert.equal(end?.type === 'end' && end.job.result?.signatures?.[0]?.verified, true)
  })

  await t.test('what is refused says why, with exit code 1; what cannot be meant 2', async () => {
    const wrong = await run(['verify', reference, '-a', 'amd64', '--key', other])
    assert.deepEqual([wrong.code, /SIGNATURE_UNTRUSTED/.test(wrong.stderr)], [1, true])
    const plain = await run(['verify', FIXTURES.nemoAmd64, ...KEY])
    assert.deepEqual([plain.code, /SIGNATURE_MISSING/.test(plain.stderr)], [1, true])
    for (const [args, says] of [
      [['--identity', 'a'], /--identity and --issuer go together/],
      [['--trusted-root', 'a'], /--trusted-root needs/],
      [[...KEY, '--identity', 'a', '--issuer', 'b'], /exclude each other/],
      [['--key', join(root, 'none.pub')], /cannot be read \(ENOENT\)/],
    ] as const) {
      const { code, stderr } = await run(['verify', reference, ...args])
      assert.deepEqual([code, says.test(stderr)], [2, true], stderr)
    }
  })

  await t.test('the real zarf agrees', async (sub) => {
    if (skipWithout(sub, 'zarf')) return
    const folder = await tempDir(sub)
    assert.equal((await run(['pull', reference, '-a', 'amd64', '-o', folder])).code, 0)
    const home = join(folder, 'home')
    await mkdir(home)
    const archive = join(folder, basename(FIXTURES.signedNemo))
    const env = { ...process.env, HOME: home, DOCKER_CONFIG: home }
    execFileSync(findProgram('zarf') ?? 'zarf', ['package', 'verify', archive, ...KEY, '--no-color'], { env })
  })
})
