import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseDefinition } from '../../../../src/zarf/definition/definition.ts'
import { DEFINITION_SHAPE } from '../../../../src/zarf/definition/definition-shape.ts'
import { encodeGoJson } from '../../../../src/zarf/definition/go-json.ts'

/** What zarf v0.84.0 makes of a plain scalar in a text field: the text, as its config blob encodes it. */
const TEXTS: [yaml: string, encoded: string][] = [
  ['plain words', '"plain words"'],
  ['1.10', '"1.1"'],
  ['1.0', '"1"'],
  ['010', '"8"'],
  ['0x1F', '"31"'],
  ['0o17', '"15"'],
  ['0b101', '"5"'],
  ['1_000', '"1000"'],
  ['-5', '"-5"'],
  ['+7', '"7"'],
  ['.5', '"0.5"'],
  ['1e3', '"1e3"'],
  ['1.5e3', '"1500"'],
  ['12345678.9', '"1.23456789e+07"'],
  ['0.00001', '"1e-05"'],
  ['-0.0', '"-0"'],
  ['.inf', '"+Inf"'],
  ['9999999999999999999', '"9999999999999999999"'],
  ['18446744073709551616', '"18446744073709551616"'],
  ['true', '"true"'],
  ['False', '"false"'],
  ['yes', '"yes"'],
  ['no', '"no"'],
  ['2024-01-02', '"2024-01-02"'],
  ['1.2.3', '"1.2.3"'],
  ['!!str 5', '"5"'],
  ['<<', '"\\u003c\\u003c"'],
  ['"q\\u2028é<&>"', '"q\\u2028é\\u003c\\u0026\\u003e"'],
  ['"\\x01\\t\\e"', '"\\u0001\\t\\u001b"'],
  ['"\\ud83d\\ude00"', '"😀"'],
  ['|\n    a\n    \tb\n', '"a\\n\\tb\\n"'],
  ['>-\n    folded\n    text\n\n    para', '"folded text\\npara"'],
]

for (const [yaml, encoded] of TEXTS) {
  test(`the text ${JSON.stringify(yaml)} reads as in zarf`, () => {
    const json = configOf(`metadata:\n  name: a\n  vendor: ${yaml}\n`)
    assert.ok(json.includes(`"vendor":${encoded}}`), json)
  })
}

test('null is the empty value of any field', () => {
  const json = configOf(
    'metadata: {name: a, vendor: ~, uncompressed: null, annotations: }\nbuild: ~\ncomponents: null\n',
  )
  assert.match(json, /"metadata":\{"name":"a"\},"build":\{"architecture":"",.*"components":null/)
})

test('whole numbers are taken from floats and scientific notation, and cut to 32 bits where zarf does', () => {
  const defaults = (yaml: string): string =>
    configOf(
      `metadata: {name: a}\ncomponents: [{name: c, actions: {onCreate: {defaults: {maxTotalSeconds: ${yaml}}}}}]`,
    )
  assert.match(defaults('1.9'), /"maxTotalSeconds":1,/)
  assert.match(defaults('1e3'), /"maxTotalSeconds":1000,/)
  assert.match(defaults('4294967300'), /"maxTotalSeconds":4,/)
  assert.match(defaults('-3'), /"maxTotalSeconds":-3,/)
})

test('a free value keeps its kind; keys are sorted and numbers exact', () => {
  const json = configOf(
    'metadata: {name: a}\ncomponents: [{name: c, actions: {onCreate: {after: [{setValues: [{value: {b: 18446744073709551615, a: [x, 2.50, {"é": ~}, false]}}]}]}}}]',
  )
  assert.match(json, /"setValues":\[\{"value":\{"a":\["x",2\.5,\{"é":null\},false\],"b":18446744073709551615\}\}\]/)
})

test('pointers to false, 0 and "" are kept, values of the kind dropped', () => {
  const json = configOf(
    'metadata: {name: a, allowNamespaceOverride: false}\ncomponents: [{name: c, default: false, required: false, actions: {onDeploy: {before: [{mute: false, maxRetries: 0, dir: "", cmd: ""}]}}}]',
  )
  assert.match(json, /"allowNamespaceOverride":false/)
  assert.match(json, /\{"name":"c","required":false,/)
  assert.match(json, /"before":\[\{"mute":false,"maxRetries":0,"dir":""\}\]/)
})

test('unknown keys vanish; anchors, aliases and merges are followed', () => {
  const json = configOf('x: &a {vendor: v, version: 1.0.0}\nmetadata:\n  <<: *a\n  name: a\n  later: {field: 1}\n')
  assert.match(json, /"metadata":\{"name":"a","version":"1\.0\.0","vendor":"v"\}/)
})

test('windows line ends and comments change nothing', () => {
  const yaml = 'metadata:\n  name: a # the name\n  vendor: v\n'
  assert.equal(configOf(yaml.replaceAll('\n', '\r\n')), configOf(yaml))
})

test('annotations that a v1beta1 package keeps old fields in go back into these', () => {
  const json = configOf('metadata: {name: a, url: own, annotations: {metadata.url: other, metadata.vendor: v, x: y}}')
  assert.match(json, /"metadata":\{"name":"a","url":"own","vendor":"v","annotations":\{"x":"y"\}\}/)
})

test('beside a v1beta1 document the v1alpha1 one is taken as it is, without migrations', () => {
  const alpha = 'apiVersion: zarf.dev/v1alpha1\nkind: ZarfPackageConfig\nmetadata: {name: a}\n'
  const json = configOf(`${alpha}---\napiVersion: zarf.dev/v1beta1\nmetadata: {name: b}\n`)
  assert.match(json, /"metadata":\{"name":"a"\},"build":\{"architecture":"","timestamp":"","version":""\}/)
  assert.match(configOf(alpha), /"migrations":\["scripts-to-actions","pluralize-set-variable"\]/)
})

test('migrations that are recorded as done clear what they replaced', () => {
  const json = configOf(
    'metadata: {name: a}\nbuild: {migrations: [scripts-to-actions, pluralize-set-variable]}\ncomponents: [{name: c, scripts: {before: [x]}, actions: {onDeploy: {after: [{cmd: y, setVariable: V}]}}}]',
  )
  assert.match(json, /"scripts":\{\},"actions":.*"after":\[\{"cmd":"y"\}\]/)
})

const INVALID: [yaml: string, message: RegExp][] = [
  ['', /is empty/],
  ['- a', /is not a mapping/],
  ['metadata: {name: a', /not valid YAML/],
  ['metadata: {name: a, name: b}', /not valid YAML/],
  ['kind: a', /has no metadata\.name/],
  ['metadata: []', /^metadata in zarf\.yaml is not a mapping/],
  ['metadata: {name: {a: b}}', /^metadata\.name in zarf\.yaml is not text/],
  ['metadata: {name: a, uncompressed: "true"}', /^metadata\.uncompressed in zarf\.yaml is not true or false/],
  ['metadata: {name: a}\ncomponents: [{name: b, images: x}]', /^components\[0\]\.images in zarf\.yaml is not a list/],
  ['apiVersion: zarf.dev/v9\nmetadata: {name: a}', /has the apiVersion zarf\.dev\/v9/],
  ['apiVersion: zarf.dev/v1beta1\nmetadata: {name: a}', /has the apiVersion zarf\.dev\/v1beta1/],
  ['metadata: {name: a}\n---\nmetadata: {name: b}', /two documents of apiVersion zarf\.dev\/v1alpha1/],
  ['\uFEFFmetadata: {name: a}', /byte order mark/],
]

for (const [yaml, message] of INVALID) {
  test(`${JSON.stringify(yaml)} is refused in plain words`, () => {
    assert.throws(() => parseDefinition(Buffer.from(yaml)), { code: 'PACKAGE_INVALID', message })
  })
}

for (const yaml of [
  'metadata: {name: ../a}',
  'metadata: {name: "a\\\\b"}',
  'metadata: {name: a, version: ..}',
  'metadata: {name: a}\nbuild: {flavor: a/b}',
  'metadata: {name: a}\nbuild: {differentialPackageVersion: a/b}',
  'metadata: {name: a, architecture: a/b}',
  'metadata: {name: a}\nbuild: {architecture: ../b}',
  'metadata: {name: "a\\u001b[2J"}',
  'metadata: {name: "a\\u202eb"}',
  'metadata: {name: a, version: "1\\u009b2J"}',
  'metadata: {name: a}\nbuild: {flavor: "a\\nb"}',
  'metadata: {name: a}\ncomponents: [{name: "a\\u2066b"}]',
  'metadata: {name: a}\ncomponents: [{name: ../c}]',
  'metadata: {name: a}\ncomponents: [{name: c, charts: [{name: a/b}]}]',
  'metadata: {name: a}\ncomponents: [{name: c, charts: [{name: a, version: a/b}]}]',
  'metadata: {name: a}\ncomponents: [{name: c, manifests: [{name: a/b}]}]',
]) {
  test(`names that become file names stay inside: ${JSON.stringify(yaml)}`, () => {
    assert.throws(() => parseDefinition(Buffer.from(yaml)), { code: 'PACKAGE_UNSAFE_PATH' })
  })
}

test('a document that unfolds through aliases is refused before it fills the memory', () => {
  const levels = Array.from({ length: 9 }, (_, at) => `l${at + 1}: &l${at + 1} [${`*l${at},`.repeat(10)}]`)
  const bomb = `l0: &l0 {a: b}\n${levels.join('\n')}\nmetadata: {name: a}\ncomponents: [{name: c, actions: {onCreate: {after: [{setValues: [{value: *l9}]}]}}}]\n`
  assert.throws(() => parseDefinition(Buffer.from(bomb)), { code: 'PACKAGE_TOO_LARGE' })
})

function configOf(yaml: string): string {
  return encodeGoJson(DEFINITION_SHAPE, parseDefinition(Buffer.from(yaml)))
}
