import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { readFile, readdir, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { after, before, describe, test, type TestContext } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import { FIXTURES } from '../helpers/packages/fixtures.ts'
import { readPackage } from '../helpers/packages/pulling.ts'
import { skipWithout } from '../helpers/processes/real-tools.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { cosignFile } from '../helpers/trust/cosign-file.ts'
import { Scene, toolbox } from './scene.ts'

const scene = new Scene()
before(() => scene.start())
after(() => scene[Symbol.asyncDispose]())

const PASSWORD = 'pass-word-of-the-key'
const oci = (path: string) => `oci://${scene.host}/${path}`
const pem = (key: KeyObject): string => key.export({ type: 'spki', format: 'pem' }).toString()

async function zarfIn(t: TestContext) {
  const folder = await tempDir(t)
  const run = await toolbox(t, { COSIGN_PASSWORD: PASSWORD })
  const zarf = (...args: string[]) => run('zarf', [...args, '--plain-http', '--no-color', '-a', 'amd64'], folder)
  return { folder, run, zarf }
}

const KEYS: Readonly<Record<string, { publicKey: KeyObject; privateKey: KeyObject }>> = {
  'p-256': generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  'p-384': generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  'p-521': generateKeyPairSync('ec', { namedCurve: 'P-521' }),
  'rsa-3072': generateKeyPairSync('rsa', { modulusLength: 3072 }),
  ed25519: generateKeyPairSync('ed25519'),
}

describe('what layerd signed', () => {
  for (const [name, { publicKey, privateKey }] of Object.entries(KEYS)) {
    test(`zarf verifies by a key of the kind ${name}, at a publish and at a copy`, async (t) => {
      if (skipWithout(t, 'zarf')) return
      const { folder, zarf } = await zarfIn(t)
      await scene.key(name, { key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() })
      await writeFile(join(folder, 'key.pub'), pem(publicKey))
      const sign = { keyRef: name }
      const published = await scene.publish(FIXTURES.nemoAmd64, name, { sign })
      await scene.publish(FIXTURES.logbook, `${name}-plain`)
      await scene.copy(`${name}-plain/logbook:0.1.0`, name, { sign })
      for (const what of ['nemo:1.2.0', 'logbook:0.1.0']) {
        await zarf('package', 'verify', oci(`${name}/${what}`), '--key', join(folder, 'key.pub'))
      }
      const digest = await zarf('package', 'inspect', 'digest', oci(`${name}/nemo:1.2.0`))
      assert.equal(digest.trim(), published.digest)
      const other = await tempDir(t)
      await writeFile(join(other, 'key.pub'), pem(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey))
      await assert.rejects(zarf('package', 'verify', oci(`${name}/nemo:1.2.0`), '--key', join(other, 'key.pub')))
    })
  }

  test('zarf verifies by a key that cosign made and layerd opened', async (t) => {
    if (skipWithout(t, 'zarf') || skipWithout(t, 'cosign')) return
    const { folder, run, zarf } = await zarfIn(t)
    await run('cosign', ['generate-key-pair'], folder)
    await scene.key('cosign', { key: await readFile(join(folder, 'cosign.key'), 'utf8'), password: PASSWORD })
    await scene.publish(FIXTURES.nemoAmd64, 'by-cosign', { sign: { keyRef: 'cosign' } })
    await zarf('package', 'verify', oci('by-cosign/nemo:1.2.0'), '--key', join(folder, 'cosign.pub'))
  })

  for (const [what, path] of [
    ['unsigned', FIXTURES.nemoAmd64],
    ['of v1beta1', FIXTURES.keel],
    ['signed in the old form', FIXTURES.oldSignatureLedger],
    ['signed before', FIXTURES.signedNemo],
    ['of many layers', FIXTURES.fleet],
    ['differential', FIXTURES.tideDifferential],
    ['for init', FIXTURES.init],
  ] as const) {
    test(`a package ${what} is byte for byte what zarf package sign makes of it, but for the signature`, async (t) => {
      if (skipWithout(t, 'zarf')) return
      const { folder, zarf } = await zarfIn(t)
      const { privateKey } = KEYS['p-256'] as (typeof KEYS)[string]
      await scene.key('both', { key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() })
      await writeFile(
        join(folder, 'cosign.key'),
        cosignFile(privateKey.export({ type: 'pkcs8', format: 'der' }), PASSWORD),
      )
      const out = await tempDir(t)
      const key = ['--signing-key', join(folder, 'cosign.key'), '--signing-key-pass', PASSWORD]
      await zarf('package', 'sign', path, ...key, '--overwrite', '-o', out)
      const [name = ''] = await readdir(out)
      const byZarf = await readPackage(join(out, name))
      const namespace = basename(name, '.tar.zst').toLowerCase()
      const { reference } = await scene.publish(path, namespace, { sign: { keyRef: 'both' } })
      await zarf('package', 'pull', reference, '-o', folder)
      const byLayerd = await readPackage(join(folder, name))
      const digests = ({ files }: typeof byZarf) =>
        [...files]
          .filter(([file]) => file !== 'zarf.bundle.sig')
          .map(([file, bytes]) => [file, digestOf(bytes)] as const)
          .toSorted(([a], [b]) => (a < b ? -1 : 1))
      assert.deepEqual(digests(byLayerd), digests(byZarf))
      assert.deepEqual([...byLayerd.files.keys()].toSorted(), [...byZarf.files.keys()].toSorted())
      assert.equal(byLayerd.contents.config.descriptor.digest, byZarf.contents.config.descriptor.digest)
    })
  }
})
