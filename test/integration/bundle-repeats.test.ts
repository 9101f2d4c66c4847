import assert from 'node:assert/strict'
import { type TestContext, describe, test } from 'node:test'
import { type BundledOptions, buildBundle, putBuiltBundle } from '../helpers/packages/bundle-builder.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { startApp } from '../helpers/streams/http-app.ts'
import { tempDir } from '../helpers/temp-dir.ts'

/** A bundle that names its one package so many times, looked at in its registry. */
async function lookAt(t: TestContext, times: number, one: BundledOptions = {}) {
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  const definition = ({ packages, ...rest }: Record<string, unknown>) => {
    const [entry] = packages as Record<string, unknown>[]
    return { ...rest, packages: Array.from({ length: times }, (_, at) => ({ ...entry, name: `ship-${at}` })) }
  }
  const bundle = await buildBundle(await tempDir(t, 'bundle'), { packages: [one], tamper: { definition } })
  putBuiltBundle(registry, { repository: 'team/convoy', tag: '1.0.0' }, bundle)
  const { app } = await startApp(t)
  const reference = `oci://${registry.host}/team/convoy:1.0.0`
  const answer = await app.inject(`/v1/bundles?ref=${encodeURIComponent(reference)}`)
  return { answer, blobs: registry.requests.filter(({ path }) => path.includes('/blobs/')).map(({ path }) => path) }
}

describe('a bundle that names one package again and again', () => {
  test('costs that package once', async (t) => {
    const { answer, blobs } = await lookAt(t, 200)
    assert.equal(answer.statusCode, 200, answer.body.slice(0, 300))
    assert.equal(answer.json().packages.length, 200)
    // Config, uds-bundle.yaml, the package's manifest and its zarf.yaml.
    assert.deepEqual([blobs.length, new Set(blobs).size], [4, 4])
  })

  test('is not told where its zarf.yaml is large', async (t) => {
    const tamper = { definition: (text: string) => `${text}# ${'a'.repeat(400 * 1024)}\n` }
    const { answer } = await lookAt(t, 90, { tamper })
    assert.deepEqual([answer.statusCode, answer.json().code], [422, 'PACKAGE_TOO_LARGE'])
    assert.match(answer.json().detail, /zarf\.yaml files of the bundle have \d+ bytes; more than 33554432 are not read/)
  })

  test('nor where its zarf.yaml stands for much', async (t) => {
    const variables = [
      `- {name: A, description: &a ${'a'.repeat(60_000)}}`,
      ...Array.from({ length: 200 }, (_, at) => `- {name: A${at}, description: *a}`),
    ]
    const tamper = { definition: (text: string) => `${text}\nvariables:\n${variables.join('\n')}\n` }
    const { answer } = await lookAt(t, 8, { tamper })
    assert.deepEqual([answer.statusCode, answer.json().code], [422, 'PACKAGE_TOO_LARGE'])
    assert.match(answer.json().detail, /stand for more than 67108864 bytes/)
  })
})
