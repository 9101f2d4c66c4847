import assert from 'node:assert/strict'
import { test } from 'node:test'
import { descriptorTitle } from '../../../src/content/descriptor.ts'
import { digestOf } from '../../../src/content/digest.ts'
import type { DefinitionOutline } from '../../../src/zarf/package.ts'
import { parseImageReference } from '../../../src/zarf/selection/image-reference.ts'
import { chooseFiles, selectComponents, selectLayers } from '../../../src/zarf/select.ts'
import { FIXTURES } from '../../helpers/packages/fixtures.ts'
import { readPackage } from '../../helpers/packages/pulling.ts'
import type { AppError } from '../../../src/lib/errors.ts'

const DEFINITION: DefinitionOutline = {
  components: [
    { name: 'core', required: true },
    { name: 'extra-a' },
    { name: 'extra-b', default: true },
    { name: 'small', group: 'size', default: true },
    { name: 'large', group: 'size' },
  ],
}

/** The same table as zarf's own for its deploy filter, in our words. */
const CHOICES: ReadonlyArray<[string[], string[]]> = [
  [[], ['core', 'extra-b', 'small']],
  [['extra-a'], ['core', 'extra-a', 'extra-b', 'small']],
  [['extra-*'], ['core', 'extra-a', 'extra-b', 'small']],
  [['-extra-b'], ['core', 'small']],
  [
    ['extra-?', '-extra-b', 'large'],
    ['core', 'extra-a', 'large'],
  ],
  [['core'], ['core', 'extra-b', 'small']],
  [['extra-[^b]'], ['core', 'extra-a', 'extra-b', 'small']],
  [['\\e\\xtra-a'], ['core', 'extra-a', 'extra-b', 'small']],
]

for (const [requested, expected] of CHOICES) {
  test(`components [${requested.join(', ')}] mean ${expected.join(', ')}`, async () => {
    assert.deepEqual(
      (await selectComponents(DEFINITION, requested)).map(({ name }) => name),
      expected,
    )
  })
}

const REFUSED: ReadonlyArray<[string[], RegExp]> = [
  [['nope'], /no component matches "nope"/],
  [['-nope'], /no component matches "-nope"/],
  [['-core'], /takes away a required component/],
  [['small', 'large'], /the group size allows one component, not small, large/],
  [['-small'], /the group size needs a choice of small, large/],
  [['['], /"\[" is not a pattern/],
  [['extra-[a'], /"extra-\[a" is not a pattern/],
  [['{core,extra-a}'], /no component matches "\{core,extra-a\}"/],
  [['{1..100000000}'], /no component matches/],
  [['+(e|ex|ext)'.repeat(8)], /no component matches/],
  [['['.repeat(60_000)], /has 60000 characters/],
  [['a'.repeat(129)], /has 129 characters/],
  [Array.from({ length: 101 }, () => 'core'), /101 names or patterns/],
]

for (const [requested, says] of REFUSED) {
  test(`components [${requested.join(', ').slice(0, 60)}] are refused`, async () => {
    await assert.rejects(
      selectComponents(DEFINITION, requested),
      (error: AppError) => error.code === 'COMPONENTS_INVALID' && says.test(error.message) && error.hint !== undefined,
    )
  })
}

test('names of images are spelled out as zarf does', () => {
  const digest = `sha256:${'a'.repeat(64)}`
  const table: ReadonlyArray<[string, string, string | undefined]> = [
    ['nginx', 'docker.io/library/nginx:latest', 'library/nginx:latest'],
    ['nginx:1.25', 'docker.io/library/nginx:1.25', 'library/nginx:1.25'],
    ['grafana/loki:2', 'docker.io/grafana/loki:2', 'grafana/loki:2'],
    ['index.docker.io/library/nginx:1', 'docker.io/library/nginx:1', 'library/nginx:1'],
    ['ghcr.io/a/b:1', 'ghcr.io/a/b:1', undefined],
    ['localhost/a:1', 'localhost/a:1', undefined],
    ['localhost:5601/apps/anchor:1.0', 'localhost:5601/apps/anchor:1.0', undefined],
    [`nginx:1@${digest}`, `docker.io/library/nginx:1@${digest}`, `library/nginx@${digest}`],
    ['oci://ghcr.io/a/b', 'ghcr.io/a/b:latest', undefined],
  ]
  for (const [text, full, withoutDockerHub] of table) {
    assert.deepEqual(parseImageReference(text), { full, withoutDockerHub }, text)
  }
})

test('the layers of some components are theirs, their images through all manifests, and the metadata', async () => {
  const { files, contents } = await readPackage(FIXTURES.nemoAmd64)
  const byDigest = new Map([...files.values()].map((bytes) => [digestOf(bytes), bytes]))
  const byTitle = new Map(contents.layers.map((layer) => [descriptorTitle(layer) ?? '', layer]))
  const read = async ({ digest }: { digest: string }) => byDigest.get(digest as ReturnType<typeof digestOf>) as Buffer
  const titles = async (requested: string[]) => {
    const { layers } = await chooseFiles(contents.definition, { components: requested }, { byTitle, read })
    return new Set(layers.map((layer) => descriptorTitle(layer) ?? ''))
  }
  const all = await titles(['*'])
  assert.deepEqual([...all].toSorted(), [...files.keys()].toSorted())
  const some = await titles(['library'])
  for (const title of [
    'zarf.yaml',
    'checksums.txt',
    'components/library.tar',
    'components/vessel.tar',
    'images/index.json',
  ]) {
    assert.ok(some.has(title), title)
  }
  assert.ok(!some.has('components/instruments.tar'))
  const blobs = (from: Set<string>) => [...from].filter((title) => title.startsWith('images/blobs/')).length
  assert.ok(blobs(some) > 0 && blobs(some) < blobs(all))
})

test('an image that the index does not have is named', async () => {
  const { contents, files } = await readPackage(FIXTURES.nemoAmd64)
  const byTitle = new Map(contents.layers.map((layer) => [descriptorTitle(layer) ?? '', layer]))
  const read = async () => files.get('images/index.json') as Buffer
  const chosen = { components: [{ name: 'vessel' }], images: ['ghcr.io/not/there:1'] }
  await assert.rejects(selectLayers(contents.definition, chosen, { byTitle, read }), /ghcr\.io\/not\/there:1/)
})

test('patterns that would take long with so many components are refused, names in full are not', async () => {
  const components = Array.from({ length: 9000 }, (_, at) => ({ name: `${'a'.repeat(240)}${at}` }))
  const globs = Array.from({ length: 100 }, (_, at) => `*${'a*'.repeat(60)}${at}`)
  await assert.rejects(selectComponents({ components }, globs), {
    code: 'COMPONENTS_INVALID',
    message: /too many for 9000 components/,
  })
  const short = Array.from({ length: 9000 }, (_, at) => ({ name: `${'a'.repeat(120)}${at}` }))
  const names = short.slice(0, 100).map(({ name }) => name)
  assert.equal((await selectComponents({ components: short }, names)).length, 100)
})

test('choosing among many lets the event loop go on', async () => {
  const components = Array.from({ length: 4000 }, (_, at) => ({ name: `${'a'.repeat(200)}${at}` }))
  let turns = 0
  const timer = setInterval(() => (turns += 1), 0)
  await assert.rejects(selectComponents({ components }, [`*${'a*'.repeat(55)}b`]), /no component matches/)
  clearInterval(timer)
  assert.ok(turns > 0)
})

test('a refusal names some of many components, and no long text of the package', async () => {
  const components = Array.from({ length: 2000 }, (_, at) => ({
    name: `${'a'.repeat(240)}${at}`,
    group: 'g'.repeat(9999),
  }))
  await assert.rejects(
    selectComponents({ components }, [`*${'a*'.repeat(60)}b`]),
    (error: AppError) => error.message.length < 400 && /and 1980 more/.test(error.hint ?? ''),
  )
  await assert.rejects(
    selectComponents({ components }, []),
    (error: AppError) => error.message.length < 8000 && /and 1980 more/.test(error.message),
  )
})
