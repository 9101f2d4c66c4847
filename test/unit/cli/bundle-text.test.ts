import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bundleImages, bundleText } from '../../../src/cli/view/bundle-text.ts'
import { inspectOpenedBundle } from '../../../src/transfer/bundle/inspect.ts'
import type { Bundle } from '../../../src/cli/client/contract.ts'
import type { OpenedBundle } from '../../../src/uds/bundle-archive.ts'
import { type BundleOptions, buildBundle } from '../../helpers/packages/bundle-builder.ts'
import { FIXTURES } from '../../helpers/packages/fixtures.ts'
import { openArchiveAt } from '../../helpers/packages/open-package.ts'
import { tempDir } from '../../helpers/temp-dir.ts'

const { signal } = new AbortController()

/** As the API answers it. */
async function look(path: string): Promise<Bundle> {
  await using opened = (await openArchiveAt(path, signal)) as OpenedBundle
  const found = await inspectOpenedBundle(opened, { reference: 'oci://r.example/team/x:1', signal })
  return JSON.parse(JSON.stringify(found)) as Bundle
}

test('a bundle fits a screen of 80 columns, and says what of each package it has', async () => {
  const found = await look(FIXTURES.armadaBundle)
  const text = bundleText(found, 80)
  for (const line of text.split('\n')) assert.ok(line.length <= 80, line)
  for (const pattern of [
    /^bundle {2}armada 0\.2\.0$/m,
    /^digest {2}sha256:8e05d727/m,
    /^signed {2}no$/m,
    /^nemo 1\.2\.0: .* in 19 layers, 2 images$/m,
    /^ {2}has vessel, library; leaves out instruments$/m,
    /^ {2}variable GREETING \(ahoy\), of the package$/m,
    /^logbook 0\.1\.0: /m,
  ]) {
    assert.match(text, pattern)
  }
  assert.equal(bundleImages(found), 'localhost:5601/apps/anchor:1.0\nlocalhost:5601/apps/diver:1.0\n')
})

test('overrides are told, secrets and what would steer a terminal are not', async (t) => {
  const chart = {
    namespace: 'deep',
    values: [{ path: 'a', value: { b: [1] } }],
    variables: [{ name: 'KEY', path: 'k', default: 'hidden', sensitive: true }],
  }
  const entry = {
    publicKey: 'a key',
    imports: [{ name: 'IN', package: 'other' }],
    exports: [{ name: 'OUT' }],
    overrides: { web: { 'chart\u001b[2J\nforged': chart } },
  }
  const options: BundleOptions = { packages: [{ entry }], signature: Buffer.from('c2ln') }
  const text = bundleText(await look((await buildBundle(await tempDir(t, 'bundle'), options)).path), 80)
  assert.match(text, /^signed {2}yes, unchecked$/m)
  assert.match(text, /^ {2}not signed, checked with its key$/m)
  assert.match(text, /sets web\/chart\\u001b\[2J\\u000aforged a = \{"b":\[1\]\}/)
  assert.match(text, /variable KEY \(has a default\), for/)
  assert.match(text, /^ {2}imports IN of other$/m)
  assert.ok(!text.includes('hidden') && !text.includes('\u001b'))
})
