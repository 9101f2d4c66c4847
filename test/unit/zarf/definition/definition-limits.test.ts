import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseDefinition } from '../../../../src/zarf/definition/definition.ts'

const MIB = 2 ** 20
const NAMED = 'metadata: {name: a}\n'
const count = (n: number, item: (at: number) => string): string =>
  Array.from({ length: n }, (_, at) => item(at)).join('')
const components = (value: string): string => `components: [{name: c, images: ${value}}]\n`

/** Texts of at most 4 MiB that stand for more than layerd takes into memory. */
const TOO_LARGE: ReadonlyArray<[what: string, yaml: () => string, says: RegExp]> = [
  ['a file over 4 MiB', () => `${NAMED}# ${'x'.repeat(4 * MIB)}`, /has \d+ bytes/],
  [
    'a long text with 3,000 aliases in a field that is kept',
    () => `x: &a ${'y'.repeat(MIB)}\n${NAMED}${components(`[${'*a,'.repeat(3000)}]`)}`,
    /unfolds to more than 16 MiB/,
  ],
  [
    'a long text with 20 aliases in a field that nobody reads',
    () => `${NAMED}x: &a ${'y'.repeat(MIB)}\nz: [${'*a,'.repeat(20)}]\n`,
    /unfolds to more than 16 MiB/,
  ],
  [
    'a long text that is merged into many mappings',
    () => `${NAMED}x: &a {k: ${'y'.repeat(MIB)}}\n${count(20, (at) => `m${at}: {<<: *a}\n`)}`,
    /unfolds to more than 16 MiB/,
  ],
  [
    'lists of lists of aliases',
    () => `${NAMED}l0: &l0 [x]\n${count(9, (at) => `l${at + 1}: &l${at + 1} [${`*l${at},`.repeat(10)}]\n`)}`,
    /unfolds to more than 16 MiB/,
  ],
  ['a million documents', () => '---\n'.repeat(MIB), /more than 16 documents/],
  ['a million ends of documents', () => `${NAMED}${'...\n'.repeat(MIB / 2)}`, /more than 16 documents/],
  ['a million documents after Windows line ends', () => '---\r\n'.repeat(MIB / 2), /more than 16 documents/],
  ['200,000 anchors', () => `${NAMED}x:\n${count(200_000, (at) => `- &a${at} x\n`)}`, /more than 1000 anchors/],
  ['20,000 aliases', () => `x: &a b\n${NAMED}${components(`[${'*a,'.repeat(20_000)}]`)}`, /more than 10000 aliases/],
  ['20,000 merged keys', () => `${NAMED}x: &a {b: c}\nz:\n${'- {<<: *a}\n'.repeat(9000)}`, /merges more than/],
  ['depth', () => `${NAMED}x: ${'['.repeat(1000)}${']'.repeat(1000)}\n`, /nests more than 100 deep/],
  [
    'depth by aliases alone',
    () => `${NAMED}l0: &l0 [x]\n${count(900, (at) => `l${at + 1}: &l${at + 1} [*l${at}]\n`)}`,
    /nests more than 100 deep/,
  ],
  ['a million empty lists', () => `${NAMED}x: [${'[],'.repeat(MIB)}]\n`, /more than 500000 values and lines/],
  ['millions of lines', () => `${NAMED}x: |\n${' \n'.repeat(1.5 * MIB)}`, /more than 500000 values and lines/],
]

for (const [what, yaml, says] of TOO_LARGE) {
  test(`zarf.yaml: ${what} is too large, and says which limit`, () => {
    assert.throws(() => parseDefinition(Buffer.from(yaml())), { code: 'PACKAGE_TOO_LARGE', message: says })
  })
}

for (const yaml of ['x: &a [*a]', 'x: &a {b: [*a]}', 'x: &a {<<: *a}', `components: &a [{name: c, images: *a}]`]) {
  test(`zarf.yaml: ${yaml} stands for itself and is not valid`, () => {
    assert.throws(() => parseDefinition(Buffer.from(`${NAMED}${yaml}\n`)), {
      code: 'PACKAGE_INVALID',
      message: /refers to itself/,
    })
  })
}

test('zarf.yaml: no message repeats a long name from the file', () => {
  const long = 'n'.repeat(MIB)
  for (const yaml of [`${NAMED}x: *${long}\n`, `${NAMED}x: !<${long}> a\n`, `metadata: {${long}: 1}\n`]) {
    assert.throws(
      () => parseDefinition(Buffer.from(yaml)),
      (error: Error & { code?: string }) => error.code === 'PACKAGE_INVALID' && error.message.length < 1000,
    )
  }
  const annotations = `metadata: {name: a, annotations: {${long}: [1]}}\n`
  assert.throws(
    () => parseDefinition(Buffer.from(annotations)),
    (error: Error & { details?: unknown }) =>
      error.message.length < 1000 && JSON.stringify(error.details).length < 1000,
  )
})

test('zarf.yaml: what large packages hold is well within the limits', () => {
  const images = count(60_000, (at) => `    - registry.example/team/some-image-${at}:1.0.0\n`)
  const script = '        if [ "$a" ] && [ -n "${b[@]}" ]; then echo {1,2,3} &>/dev/null & fi\n'.repeat(5000)
  const actions = `  actions: {onDeploy: {after: [{cmd: &c "x"}, {cmd: *c}]}}\n`
  const yaml = `${NAMED}x: |\n${script}components:\n- name: c\n${actions}  images:\n${images}`
  assert.ok(yaml.length > 3 * MIB && yaml.length < 4 * MIB, String(yaml.length))
  const { components: [component] = [] } = parseDefinition(Buffer.from(yaml))
  assert.equal(component?.images?.length, 60_000)
  assert.equal(component?.actions?.onDeploy?.after?.[1]?.cmd, 'x')
})

test('zarf.yaml: names that become file names are as long as file names may be', () => {
  const named = (length: number) => Buffer.from(`metadata: {name: a}\ncomponents: [{name: ${'c'.repeat(length)}}]\n`)
  assert.equal(parseDefinition(named(250)).components?.length, 1)
  assert.throws(() => parseDefinition(named(251)), { code: 'PACKAGE_UNSAFE_PATH', message: /no file name/ })
})
