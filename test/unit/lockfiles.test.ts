import assert from 'node:assert/strict'
import { globSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../', import.meta.url))

interface Locked {
  integrity?: string
  /** A folder of this repository. */
  link?: boolean
}

/** Those of this repository, wherever they lie. */
function lockfiles(): string[] {
  return globSync('**/package-lock.json', { cwd: root, exclude: ['**/node_modules', '**/.git'] })
}

test('each locked package has the SHA-512 of its archive', async () => {
  const paths = lockfiles()
  assert.ok(paths.includes('package-lock.json') && paths.length >= 3, paths.join(' '))
  for (const path of paths) {
    const { packages } = JSON.parse(await readFile(`${root}${path}`, 'utf8')) as { packages: Record<string, Locked> }
    const fetched = Object.entries(packages).filter(([name, { link }]) => name.includes('node_modules/') && !link)
    assert.ok(fetched.length > 0, path)
    // Without it npm takes whatever the registry, or who stands in between, calls by that name and version.
    const lacking = fetched.filter(([, { integrity }]) => !/^sha512-[A-Za-z0-9+/]{86}==$/.test(integrity ?? ''))
    assert.deepEqual(
      lacking.map(([name]) => name),
      [],
      path,
    )
  }
})
