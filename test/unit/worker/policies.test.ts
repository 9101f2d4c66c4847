import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { openTrustedRoots } from '../../../src/trust/verification.ts'
import { openPolicies, type Policies } from '../../../src/worker/policies.ts'
import { tempDir } from '../../helpers/temp-dir.ts'
import { createSigningKey, json, signByKey } from '../../helpers/trust/authority.ts'

const KEY = createSigningKey()
const DEFINITION = Buffer.from('kind: ZarfPackageConfig\n')
const UNSIGNED = { definition: DEFINITION, signed: false, bundle: undefined, base64: undefined }

async function policiesOf(t: TestContext, text: string): Promise<Policies> {
  const file = join(await tempDir(t), 'policy.yaml')
  await writeFile(file, text)
  return openPolicies({ file }, openTrustedRoots(undefined))
}

const RULES = JSON.stringify([
  { match: ['ghcr.io/team/public/**'], verify: { mode: 'never' } },
  { match: ['ghcr.io/team/**', 'r.example:5000/*', 'docker.io/team/*'], verify: { key: KEY.pem } },
  { match: ['10.0.0.1:5000/team/*', '[::1]:5000/team/*'], verify: { key: KEY.pem } },
  { match: ['*/mirror/**'], verify: { key: KEY.pem }, kinds: ['publish'] },
])

test('a rule may name a key that is kept, which is looked up as it is asked for', async (t) => {
  const file = join(await tempDir(t), 'policy.yaml')
  await writeFile(file, '- match: ["*/team/**"]\n  verify: {keyRef: release}\n')
  const place = { registry: 'registry.example', repository: 'team/nemo' }
  const asked: string[] = []
  const publicKey = async (name: string) => {
    asked.push(name)
    return KEY.pem
  }
  const roots = openTrustedRoots(undefined)
  const verification = await openPolicies({ file }, roots, { publicKey }).verification('pull', place)
  assert.deepEqual(asked, ['release'])
  assert.throws(() => verification?.check(UNSIGNED, 'nemo'), { code: 'POLICY_VIOLATED' })
  const bundle = json(signByKey(DEFINITION, KEY))
  assert.equal(verification?.check({ ...UNSIGNED, signed: true, bundle }, 'nemo')[0]?.verified, true)
  await assert.rejects(openPolicies({ file }, roots).verification('pull', place), { code: 'KEY_NOT_FOUND' })
})

test('the first rule that matches counts, by kind, registry and repository', async (t) => {
  const policies = await policiesOf(t, RULES)
  const wanted: ReadonlyArray<
    [kind: 'pull' | 'copy' | 'publish', registry: string, repository: string, demands: boolean]
  > = [
    ['pull', 'ghcr.io', 'team/nemo', true],
    ['copy', 'GHCR.io', 'team/deep/nemo', true],
    ['pull', 'ghcr.io', 'team/public/nemo', false],
    ['pull', 'ghcr.io', 'team', false],
    ['pull', 'ghcr.io', 'team-evil/nemo', false],
    ['pull', 'ghcr.io.evil.example', 'team/nemo', false],
    ['pull', 'r.example:5000', 'nemo', true],
    ['pull', 'r.example', 'nemo', false],
    ['pull', 'ghcr.io:443', 'team/nemo', true],
    ['pull', 'ghcr.io:0443', 'team/nemo', true],
    ['pull', 'ghcr.io:80', 'team/nemo', true],
    ['pull', 'ghcr.io:8443', 'team/nemo', false],
    ['pull', 'r.example:05000', 'nemo', true],
    ['pull', 'index.docker.io', 'team/nemo', true],
    ['pull', 'registry-1.docker.io:443', 'team/nemo', true],
    ['pull', '10.1:5000', 'team/nemo', true],
    ['pull', '0x0a.0.0.1:5000', 'team/nemo', true],
    ['pull', '[::0:1]:5000', 'team/nemo', true],
    ['pull', 'r.example:5000', 'team/nemo', false],
    ['publish', 'any.example', 'mirror/nemo', true],
    ['pull', 'any.example', 'mirror/nemo', false],
  ]
  for (const [kind, registry, repository, demands] of wanted) {
    const found = await policies.verification(kind, { registry, repository })
    assert.equal(found !== undefined, demands, `${kind} ${registry}/${repository}`)
  }
  assert.equal(await policies.concern('publish', 'any.example'), true)
  assert.equal(await policies.concern('pull', 'any.example'), false)
})

test('what is refused says by which rule, what was found and what was wanted', async (t) => {
  const policies = await policiesOf(t, RULES)
  const verification = await policies.verification('pull', { registry: 'ghcr.io', repository: 'team/nemo' })
  assert.throws(
    () => verification?.check(UNSIGNED, 'the package'),
    (error: Error & { code?: string; details?: Record<string, unknown> }) => {
      assert.equal(error.code, 'POLICY_VIOLATED')
      assert.match(error.message, /^the policy for ghcr\.io\/team\/\*\*, .*: the package is refused: it is not signed/)
      assert.equal(error.details?.['reason'], 'SIGNATURE_MISSING')
      assert.equal(error.details?.['place'], 'ghcr.io/team/nemo')
      assert.ok(error.details?.['wanted'])
      return true
    },
  )
  const files = { ...UNSIGNED, signed: true, bundle: json(signByKey(DEFINITION, KEY)) }
  assert.equal(verification?.check(files, 'the package')[0]?.verified, true)
})

test('YAML is read too, and a change counts at once', async (t) => {
  const file = join(await tempDir(t), 'policy.yaml')
  const policies = openPolicies({ file }, openTrustedRoots(undefined))
  const place = { registry: 'ghcr.io', repository: 'team/nemo' }
  await writeFile(file, `- match: [ghcr.io/team/**]\n  verify:\n    key: |\n${KEY.pem.replace(/^/gm, '      ')}\n`)
  assert.ok(await policies.verification('pull', place))
  await writeFile(file, '[]')
  assert.equal(await policies.verification('pull', place), undefined)
})

test('without a file there are no rules', async () => {
  const policies = openPolicies({}, openTrustedRoots(undefined))
  assert.equal(await policies.verification('pull', { registry: 'a', repository: 'b' }), undefined)
})

test('a file that cannot be read or understood lets nothing pass', async (t) => {
  const verify = { key: KEY.pem }
  const wrong: ReadonlyArray<[text: string, says: RegExp]> = [
    ['', /line 1 is not YAML/],
    ['{}', /must be array/],
    ['- [', /is not YAML/],
    [JSON.stringify([{ match: ['ghcr.io/**'] }]), /required/],
    [JSON.stringify([{ match: [], verify }]), /\/0\/match/],
    [JSON.stringify([{ match: ['ghcr.io'], verify }]), /"ghcr\.io" is not registry\/repository/],
    [JSON.stringify([{ match: ['ghcr.io/te*m/x'], verify }]), /is not registry\/repository/],
    [JSON.stringify([{ match: ['ghcr.io/**'], verify, kind: ['pull'] }]), /\/0\/kind is unknown/],
    [JSON.stringify([{ match: ['ghcr.io/**'], verify, kinds: ['delete'] }]), /\/0\/kinds\/0/],
    [JSON.stringify([{ match: ['ghcr.io/**'], verify: {} }]), /\/0\/verify: .*neither "key"/],
    [JSON.stringify([{ match: ['ghcr.io/**'], verify: { key: 'x' } }]), /\/0\/verify: the key is not PEM/],
    [' '.repeat(2 * 1024 * 1024), /more than 1048576 bytes/],
  ]
  for (const [text, message] of wrong) {
    const policies = await policiesOf(t, text)
    const place = { registry: 'elsewhere.example', repository: 'nemo' }
    await assert.rejects(policies.verification('pull', place), { code: 'CONFIG_INVALID', message })
  }
  const absent = openPolicies({ file: '/nowhere/policy.yaml' }, openTrustedRoots(undefined))
  await assert.rejects(absent.concern('publish', 'a'), { code: 'CONFIG_INVALID', message: /ENOENT/ })
})
