import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { verify } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { digestOf, parseDigest } from '../../src/content/digest.ts'
import { parseDestination, parseReference } from '../../src/content/reference.ts'
import { readAll } from '../../src/content/streams.ts'
import { verifyRemote } from '../../src/transfer/verify/verify.ts'
import { createVerification, openTrustedRoots } from '../../src/trust/verification.ts'
import { markSigned } from '../../src/zarf/definition/sign-definition.ts'
import { decompressed } from '../helpers/packages/packages.ts'
import { FIXTURES, publishedManifest } from '../helpers/packages/fixtures.ts'
import { publishTo, type PublishToOptions } from '../helpers/packages/publishing.ts'
import { pullFrom, readPackage } from '../helpers/packages/pulling.ts'
import { type MemoryRegistry, startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { openRepository } from '../helpers/registries/oci-client.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { createTestSigner, type TestSigner } from '../helpers/trust/signing.ts'

const { signal } = new AbortController()
const TITLE = 'org.opencontainers.image.title'

interface Manifest {
  config: { digest: string }
  layers: { digest: string; annotations: Record<string, string> }[]
}
const byTitle = (bytes: Buffer): Record<string, string> => {
  const { layers } = JSON.parse(bytes.toString()) as Manifest
  return Object.fromEntries(layers.map(({ digest, annotations }) => [annotations[TITLE] ?? '', digest]))
}
const memory = async (t: TestContext): Promise<MemoryRegistry> => {
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  return registry
}
const verificationBy = (key: string) => createVerification({ key }, openTrustedRoots(undefined))
const published = async (t: TestContext, path: string, options: PublishToOptions & { sign: TestSigner }) => {
  const registry = await memory(t)
  const { outcome, events } = await publishTo(t, path, parseDestination(`${registry.host}/team`), options)
  const reference = parseReference(outcome.reference)
  const repository = await openRepository(t, registry.host, { repository: reference.repository })
  const manifest = await repository.getManifest(outcome.digest, { signal })
  assert.ok(manifest)
  const verification = await verificationBy(options.sign.pem)
  const verified = await verifyRemote({ reference }, { repository, verification, onEvent: () => undefined, signal })
  return { registry, outcome, events, manifest, verified, layers: byTitle(manifest.bytes) }
}
const without = ({ 'zarf.yaml': _yaml, 'zarf.bundle.sig': _bundle, ...rest }: Record<string, string>) => rest

describe('a package signed as it is published', () => {
  const plain = async (t: TestContext, kind: 'tar.zst' | 'tar' | 'folder' | 'odd order'): Promise<string> => {
    if (kind === 'tar.zst') return FIXTURES.nemoAmd64
    const folder = await tempDir(t, 'package')
    const name = basename(FIXTURES.nemoAmd64)
    if (kind === 'tar') {
      await writeFile(join(folder, name.replace('.zst', '')), await decompressed(FIXTURES.nemoAmd64))
      return join(folder, name.replace('.zst', ''))
    }
    execFileSync('tar', ['--zstd', '-xf', FIXTURES.nemoAmd64, '-C', folder])
    if (kind === 'folder') return folder
    const archive = join(await tempDir(t), name)
    execFileSync('tar', ['--zstd', '-cf', archive, '-C', folder, 'zarf.yaml', 'images', 'checksums.txt', 'components'])
    return archive
  }

  for (const kind of ['tar.zst', 'tar', 'folder', 'odd order'] as const) {
    test(`${kind}: is what zarf package sign makes of it, in all but the time of its build`, async (t) => {
      const sign = createTestSigner()
      const { outcome, verified, layers, registry } = await published(t, await plain(t, kind), { sign })
      assert.deepEqual(without(layers), without(byTitle(publishedManifest('signedNemo'))))
      assert.deepEqual(Object.keys(layers).toSorted(), Object.keys(byTitle(publishedManifest('signedNemo'))).toSorted())
      const { files } = await readPackage(FIXTURES.nemoAmd64)
      assert.equal(layers['zarf.yaml'], digestOf(markSigned(files.get('zarf.yaml') ?? Buffer.alloc(0))))
      assert.equal(outcome.signed, true)
      assert.deepEqual(outcome.signatures, verified.signatures)
      assert.deepEqual([verified.signed, verified.digest, verified.layers], [true, outcome.digest, outcome.layers])
      assert.equal(sign.signed, 1)
      assert.ok(
        !registry.requests.some(({ path }) => path.includes(digestOf(files.get('zarf.yaml') ?? Buffer.alloc(0)))),
      )
    })
  }

  test('says that it is not the package that came', async (t) => {
    const { outcome, events } = await published(t, FIXTURES.nemoAmd64, { sign: createTestSigner() })
    const before = digestOf(publishedManifest('nemo'))
    assert.notEqual(outcome.digest, before)
    const told = events.flatMap((event) => (event.type === 'log' && event.level === 'info' ? [event.message] : []))
    assert.ok(
      told.some(
        (line) =>
          line.includes('signed with the key release') && line.includes(before) && line.includes(outcome.digest),
      ),
    )
  })

  test('can be pulled, and its archive is the package', async (t) => {
    const sign = createTestSigner()
    const { outcome } = await published(t, FIXTURES.nemoAmd64, { sign })
    const { outcome: pulled, store } = await pullFrom(t, outcome.reference, {
      architecture: 'amd64',
      ...(await verificationBy(sign.pem).then((verification) => (verification ? { verification } : {}))),
    })
    assert.equal(pulled.digest, outcome.digest)
    assert.equal((await store.packages.list()).length, 1)
  })

  test('its signature is one that any program can check', async (t) => {
    const sign = createTestSigner()
    const { registry, layers } = await published(t, FIXTURES.logbook, { sign })
    const repository = await openRepository(t, registry.host, { repository: 'team/logbook' })
    const read = async (title: string) => {
      const digest = parseDigest(layers[title] ?? '')
      const size = (await repository.stat(digest, { signal }))?.size ?? 0
      return await readAll(await repository.open({ mediaType: 'x', digest, size }, { signal }))
    }
    const bundle = JSON.parse((await read('zarf.bundle.sig')).toString()) as {
      mediaType: string
      verificationMaterial: { publicKey: { hint: string } }
      messageSignature: { messageDigest: { algorithm: string; digest: string }; signature: string }
    }
    const definition = await read('zarf.yaml')
    const { messageSignature, verificationMaterial } = bundle
    assert.ok(verify('sha256', definition, sign.pem, Buffer.from(messageSignature.signature, 'base64')))
    assert.equal(
      `sha256:${Buffer.from(messageSignature.messageDigest.digest, 'base64').toString('hex')}`,
      layers['zarf.yaml'],
    )
    assert.equal(
      `sha256:${Buffer.from(verificationMaterial.publicKey.hint, 'base64').toString('hex')}`,
      sign.signer.publicKey.fingerprint,
    )
    const ofZarf = JSON.parse(
      (await readPackage(FIXTURES.signedNemo)).files.get('zarf.bundle.sig')?.toString() ?? '',
    ) as object
    const shape = (value: unknown): unknown =>
      typeof value === 'object' && value !== null
        ? Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, shape(inner)]))
        : typeof value
    assert.deepEqual(shape(bundle), shape(ofZarf))
    assert.equal(bundle.mediaType, (ofZarf as { mediaType: string }).mediaType)
  })

  for (const [what, path] of [
    ['with a bundle', FIXTURES.signedNemo],
    ['in the old form', FIXTURES.oldSignatureLedger],
  ] as const) {
    test(`one that was signed ${what} loses that signature`, async (t) => {
      const sign = createTestSigner()
      const { layers, verified } = await published(t, path, { sign })
      assert.equal(
        Object.keys(layers)
          .filter((title) => title.endsWith('.sig'))
          .join(),
        'zarf.bundle.sig',
      )
      assert.deepEqual(
        verified.signatures.map(({ key }) => key),
        [{ fingerprint: sign.signer.publicKey.fingerprint }],
      )
    })
  }

  test('what was wanted of the package that came is checked before it is signed', async (t) => {
    const sign = createTestSigner()
    const registry = await memory(t)
    const verification = await verificationBy(sign.pem)
    const job = (path: string) =>
      publishTo(t, path, parseDestination(`${registry.host}/team`), { sign, verificationFor: async () => verification })
    await assert.rejects(job(FIXTURES.nemoAmd64), { code: 'SIGNATURE_MISSING' })
    await assert.rejects(job(FIXTURES.signedNemo), { code: 'SIGNATURE_UNTRUSTED' })
    assert.equal(sign.signed, 0)
    assert.deepEqual(registry.requests, [])
  })

  test('what a policy wants of the destination holds for what goes there, and is checked before anything does', async (t) => {
    const [sign, other] = [createTestSigner(), createTestSigner()]
    const registry = await memory(t)
    const job = (key: string) =>
      publishTo(t, FIXTURES.nemoAmd64, parseDestination(`${registry.host}/team`), {
        sign,
        signedVerificationFor: () => verificationBy(key),
      })
    await assert.rejects(job(other.pem), { code: 'SIGNATURE_UNTRUSTED' })
    assert.deepEqual(registry.requests, [])
    const { outcome } = await job(sign.pem)
    assert.equal(outcome.signed, true)
    assert.equal(sign.signed, 2, 'once for each job, though the archive is read twice')
  })

  test('a zarf.yaml that cannot be edited is refused by name, and nothing is tagged', async (t) => {
    const folder = await tempDir(t, 'package')
    execFileSync('tar', ['--zstd', '-xf', FIXTURES.logbook, '-C', folder])
    const { files } = await readPackage(FIXTURES.logbook)
    const text = files.get('zarf.yaml')?.toString() ?? ''
    await writeFile(join(folder, 'zarf.yaml'), text.replaceAll('\n', '\r\n'))
    const registry = await memory(t)
    const job = publishTo(t, folder, parseDestination(`${registry.host}/team`), { sign: createTestSigner() })
    await assert.rejects(job, {
      code: 'PACKAGE_NOT_SIGNABLE',
      message: /zarf\.yaml has line ends with carriage returns/,
    })
    assert.ok(!registry.requests.some(({ method }) => method === 'PUT'))
  })

  test('a key that signs wrongly, or not at all, leaves no tag', async (t) => {
    const [sign, other] = [createTestSigner(), createTestSigner()]
    const registry = await memory(t)
    const wrong = {
      name: 'release',
      signer: { ...sign.signer, sign: (bytes: Buffer) => other.signer.sign(bytes, signal) },
    }
    const job = publishTo(t, FIXTURES.nemoAmd64, parseDestination(`${registry.host}/team`), { sign: wrong })
    await assert.rejects(job, { code: 'KEY_UNAVAILABLE' })
    assert.ok(!registry.requests.some(({ method, path }) => method === 'PUT' && path.includes('/manifests/')))
  })
})
