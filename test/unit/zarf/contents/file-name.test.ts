import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseDefinition } from '../../../../src/zarf/definition/definition.ts'
import { guessFromFileName, packageFileName } from '../../../../src/zarf/contents/file-name.ts'

const NAMES: [string, string][] = [
  ['zarf-package-a-amd64-1.0.0.tar.zst', '{metadata: {name: a, version: 1.0.0}, build: {architecture: amd64}}'],
  ['zarf-package-a-amd64.tar.zst', '{metadata: {name: a}, build: {architecture: amd64}}'],
  [
    'zarf-package-a-b-arm64-v1.tar',
    '{metadata: {name: a-b, version: v1, uncompressed: true}, build: {architecture: arm64}}',
  ],
  [
    'zarf-package-golden-pkg-skeleton-1.2.3-sour.tar.zst',
    '{metadata: {name: golden-pkg, version: 1.2.3}, build: {architecture: skeleton, flavor: sour}}',
  ],
  [
    'zarf-init-amd64-v0.84.0.tar.zst',
    '{kind: ZarfInitConfig, metadata: {name: init, version: v0.84.0}, build: {architecture: amd64}}',
  ],
  [
    'zarf-package-a-amd64-1.0.0-differential-2.0.0.tar.zst',
    '{metadata: {name: a, version: 2.0.0}, build: {architecture: amd64, differential: true, differentialPackageVersion: 1.0.0}}',
  ],
  ['zarf-other-amd64-1.tar.zst', '{kind: Other, metadata: {name: a, version: "1"}, build: {architecture: amd64}}'],
]

for (const [name, definition] of NAMES) {
  test(`the file name is ${name}`, () => {
    assert.equal(packageFileName(parseDefinition(Buffer.from(definition))), name)
  })
}

test('without a build architecture there is no file name', () => {
  assert.throws(() => packageFileName(parseDefinition(Buffer.from('metadata: {name: a}'))), { code: 'PACKAGE_INVALID' })
})

const GUESSES: [string, { name: string; version: string | undefined; architecture: string } | undefined][] = [
  ['zarf-package-nemo-amd64-1.2.0.tar.zst', { name: 'nemo', version: '1.2.0', architecture: 'amd64' }],
  [
    'zarf-package-a-b-c-arm64-2.0.0-rc.7-iron.tar.zst',
    { name: 'a-b-c', version: '2.0.0-rc.7-iron', architecture: 'arm64' },
  ],
  ['zarf-package-a-amd64-1-differential-2.tar.zst', { name: 'a', version: '2', architecture: 'amd64' }],
  ['zarf-package-a-skeleton.tar', { name: 'a', version: undefined, architecture: 'skeleton' }],
  ['zarf-init-amd64-v0.84.0.tar.zst', { name: 'init', version: 'v0.84.0', architecture: 'amd64' }],
  ['package.tar.zst', undefined],
  ['zarf-package-nemo.tar.zst', undefined],
  ['zarf-package-Nemo-amd64-1.tar.zst', undefined],
  ['zarf-package-nemo-amd64-1.2.0.zip', undefined],
]

for (const [fileName, guess] of GUESSES) {
  test(`${fileName} is guessed as ${guess ? `${guess.name} ${guess.version} ${guess.architecture}` : 'nothing'}`, () => {
    assert.deepEqual(guessFromFileName(fileName), guess && { ...guess, flavor: undefined })
  })
}
