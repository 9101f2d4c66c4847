import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { describe, test } from 'node:test'
import { parseDefinition } from '../../../../src/zarf/definition/definition.ts'
import { markSigned } from '../../../../src/zarf/definition/sign-definition.ts'
import { signedDefinition } from '../../../../src/zarf/package.ts'
import { FIXTURES } from '../../../helpers/packages/fixtures.ts'

const { signal } = new AbortController()
const REQUIREMENT = [
  '  - version: v0.71.0\n',
  '    reason: This package contains a bundle format signature which requires Zarf v0.71.0 or later\n',
].join('')

const read = (path: string): string => execFileSync('tar', ['--zstd', '-xOf', path, 'zarf.yaml']).toString()
const mark = (text: string): string => markSigned(Buffer.from(text)).toString()
const build = (lines: string): string =>
  `kind: ZarfPackageConfig\nmetadata:\n  name: nemo\nbuild:\n${lines}components: []\n`

describe('zarf.yaml marked as signed', () => {
  test('is byte for byte what zarf package sign made of nemo, but for the time that it was built', () => {
    const [plain, signed] = [read(FIXTURES.nemoAmd64), read(FIXTURES.signedNemo)]
    const time = (text: string): string => /^ {2}timestamp: .*$/m.exec(text)?.[0] ?? ''
    assert.notEqual(time(plain), time(signed))
    assert.equal(mark(plain).replace(time(plain), time(signed)), signed)
    assert.equal(mark(signed), signed, 'one that is signed stays as it is')
  })

  test('that was built before zarf knew of signing gets the fields at the end of its build', () => {
    const plain = read(FIXTURES.ledger)
    const fields = `  signed: true\n  versionRequirements:\n${REQUIREMENT}  provenanceFiles:\n  - zarf.bundle.sig\n`
    assert.equal(mark(plain), plain.replace('components:\n', `${fields}components:\n`))
  })

  test('of v1beta1 gets them in both of its documents', () => {
    const plain = read(FIXTURES.keel)
    const marked = mark(plain)
    const lines = marked.split('\n').filter((line) => !plain.split('\n').includes(line))
    assert.equal(plain.split('---\n').length, 2)
    assert.deepEqual(
      marked.split('---\n').map((part) => [part.includes('\n  signed: true\n'), part.includes(REQUIREMENT)]),
      [
        [true, true],
        [true, true],
      ],
    )
    assert.equal(lines.filter((line) => line.trim() === '- zarf.bundle.sig').length, 2)
    assert.deepEqual(parseDefinition(Buffer.from(marked)).build?.provenanceFiles, ['checksums.txt', 'zarf.bundle.sig'])
  })

  const KEPT: ReadonlyArray<[what: string, before: string, after: string]> = [
    [
      'other requirements and provenance files stay before the new ones',
      '  signed: false\n  versionRequirements:\n  - version: v0.68.0\n    reason: image archives\n  provenanceFiles:\n  - checksums.txt\n  - other.sig\n',
      `  signed: true\n  versionRequirements:\n  - version: v0.68.0\n    reason: image archives\n${REQUIREMENT}  provenanceFiles:\n  - checksums.txt\n  - other.sig\n  - zarf.bundle.sig\n`,
    ],
    [
      'remarks, blank lines and another indentation stay',
      '    # who built it\n    architecture: amd64\n\n    signed: false\n    provenanceFiles:\n      # vouched for\n      - checksums.txt\n\n',
      `    # who built it\n    architecture: amd64\n\n    signed: true\n    versionRequirements:\n${REQUIREMENT.replaceAll(/^/gm, '  ').trimEnd()}\n    provenanceFiles:\n      # vouched for\n      - checksums.txt\n      - zarf.bundle.sig\n\n`,
    ],
    [
      'what is there already is not written twice',
      `  versionRequirements:\n${REQUIREMENT}  provenanceFiles:\n  - zarf.bundle.sig\n  - checksums.txt\n`,
      `  signed: true\n  versionRequirements:\n${REQUIREMENT}  provenanceFiles:\n  - zarf.bundle.sig\n  - checksums.txt\n`,
    ],
    [
      'a text that looks like it is left alone',
      '  user: |-\n    build:\n      signed: false\n  signed: false\n',
      `  user: |-\n    build:\n      signed: false\n  signed: true\n  versionRequirements:\n${REQUIREMENT}  provenanceFiles:\n  - zarf.bundle.sig\n`,
    ],
  ]
  for (const [what, before, after] of KEPT) {
    test(what, () => assert.equal(mark(build(before)), build(after)))
  }

  test('that ends without a line end gets one before what is added', () => {
    const text = 'kind: ZarfPackageConfig\nmetadata:\n  name: nemo\nbuild:\n  architecture: amd64'
    assert.equal(mark(text).startsWith(`${text}\n  signed: true\n`), true)
  })

  test('other bytes than those of UTF-8 stay, where no line is edited', () => {
    const bytes = Buffer.concat([Buffer.from(build('  signed: false\n')), Buffer.from('# \xff\xfe\n', 'latin1')])
    assert.equal(markSigned(bytes).subarray(-5).toString('latin1'), '# \xff\xfe\n')
  })

  const REFUSED: ReadonlyArray<[what: string, text: string, says: RegExp]> = [
    ['line ends of Windows', build('  signed: false\n').replaceAll('\n', '\r\n'), /carriage returns/],
    ['no build', 'kind: ZarfPackageConfig\nmetadata:\n  name: nemo\n', /no "build"/],
    ['a build in flow style', 'metadata: {name: nemo}\nbuild: {signed: false}\n', /flow style/],
    ['all of it in flow style', '{metadata: {name: nemo}, build: {signed: false}}\n', /line of its own/],
    ['a quoted build', 'metadata:\n  name: nemo\n"build":\n  signed: false\n', /line of its own/],
    ['a build that is an alias', 'metadata: &m\n  name: nemo\nbuild: *m\n', /flow style, or an alias/],
    ['a build with an anchor', 'metadata:\n  name: nemo\nbuild: &b\n  signed: false\n', /flow style, or an alias/],
    ['a list in flow style', build('  provenanceFiles: [checksums.txt]\n'), /provenanceFiles in flow style/],
    ['an empty list in flow style', build('  versionRequirements: []\n'), /versionRequirements in flow style/],
    ['a list that is an alias', build('  migrations: &m\n  - a\n  provenanceFiles: *m\n'), /in flow style/],
    ['a list that is none', build('  provenanceFiles: checksums.txt\n'), /no list/],
    ['a flag with a tag', build('  signed: !!bool false\n'), /not plainly true or false/],
    ['a flag as YAML 1.1 has it', build('  signed: FALSE\n'), /not plainly true or false/],
    ['a flag under a quoted key', build('  "signed": false\n'), /does not come out/],
    ['merged keys', `x: &x\n  provenanceFiles:\n  - a\n${build('  <<: *x\n')}`, /does not come out/],
    ['a ragged build', build('    signed: false\n  user: nobody\n'), /./],
    [
      'a list that ends in a folded text',
      build('  provenanceFiles:\n  - checksums.txt\n    and more\n  - a: b\n'),
      /./,
    ],
  ]
  for (const [what, text, says] of REFUSED) {
    test(`${what}: refused by name, or edited so that it holds`, () => {
      try {
        markSigned(Buffer.from(text))
      } catch (error) {
        const { code, message } = error as { code: string; message: string }
        assert.match(code, /^PACKAGE_(?:NOT_SIGNABLE|INVALID)$/)
        assert.match(message, says)
        assert.match(message, /zarf\.yaml/)
        return
      }
      assert.equal(says.source, '.', `${what} was edited`)
    })
  }

  test('a key twice is no YAML', () => {
    assert.throws(() => mark(build('  signed: false\n  signed: false\n')), { code: 'PACKAGE_INVALID' })
    assert.throws(() => mark(build('  signed: false\n') + build('  signed: false\n')), { code: 'PACKAGE_INVALID' })
  })

  test('one that signing makes too large is refused, and one that just fits is not', async () => {
    const LIMIT = 4 * 1024 * 1024
    const small = build('  architecture: amd64\n  signed: false\n')
    const added = mark(small).length - small.length
    const padded = (bytes: number): Buffer => Buffer.from(`${small}# ${'x'.repeat(bytes - small.length - 3)}\n`)
    assert.equal((await signedDefinition(padded(LIMIT - added), signal)).bytes.length, LIMIT)
    await assert.rejects(signedDefinition(padded(LIMIT - added + 1), signal), { code: 'PACKAGE_TOO_LARGE' })
    await assert.rejects(signedDefinition(padded(LIMIT + 1), signal), { code: 'PACKAGE_TOO_LARGE' })
  })
})
