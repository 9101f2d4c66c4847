import assert from 'node:assert/strict'
import { cp, readFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { basename, join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import { FIXTURES, publishedManifest } from '../helpers/packages/fixtures.ts'
import { readPackage } from '../helpers/packages/pulling.ts'
import { REPOSITORY } from '../helpers/processes/doc-commands.ts'
import { readyUrl, startLayerd } from '../helpers/processes/layerd.ts'
import { runProcess } from '../helpers/processes/processes.ts'
import { skipWithout } from '../helpers/processes/real-tools.ts'
import { startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import { shortTempDir, tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

const OAPI_CODEGEN = 'github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2'

/** Where a client works, and what it has to have done in the end. */
async function scene(t: TestContext) {
  const registry = await startDockerRegistry(t)
  const layerd = await startLayerd(t, { dataDir: await shortTempDir(t), env: { LAYERD_WORKERS: '1' } })
  const api = await readyUrl(layerd)
  const folder = await tempDir(t, 'saved')
  const assertDone = async (output: string) => {
    assert.match(output, new RegExp(`^published ${digestOf(publishedManifest('nemo'))}$`, 'm'))
    const [saved, original] = await Promise.all(
      [join(folder, basename(FIXTURES.nemoAmd64)), FIXTURES.nemoAmd64].map((path) => readPackage(path)),
    )
    assert.deepEqual([...(saved?.files.keys() ?? [])].toSorted(), [...(original?.files.keys() ?? [])].toSorted())
    await waitFor('what was pulled for the file alone to go', async () => {
      const left = (await (await fetch(`${api}/v1/packages`)).json()) as { items: unknown[] }
      return left.items.length === 0
    })
  }
  return { api, destination: `oci://${registry.host}/team`, folder, assertDone }
}

test('the TypeScript client uploads, publishes, watches, pulls and saves', async (t) => {
  const client = join(REPOSITORY, 'clients/typescript')
  if (!existsSync(join(client, 'node_modules'))) return t.skip('npm run check:openapi brings its packages')
  const { api, destination, folder, assertDone } = await scene(t)
  const script = join(client, 'example/publish-and-pull.ts')
  const ran = await runProcess(t, process.execPath, [script, api, FIXTURES.nemoAmd64, destination, folder])
  assert.equal(ran.code, 0, ran.output)
  await assertDone(ran.stdout)
  return undefined
})

test('a Go client made by oapi-codegen compiles, uploads, publishes, watches, pulls and saves', async (t) => {
  if (skipWithout(t, 'go')) return t.skip('go is not here')
  const work = await tempDir(t, 'go')
  for (const name of ['main.go', 'go.mod', 'go.sum']) await cp(join(REPOSITORY, 'clients/go', name), join(work, name))
  const go = (...args: string[]) => runProcess(t, 'go', args, { cwd: work, env: { GOFLAGS: '-mod=mod' } })
  const spec = join(REPOSITORY, 'openapi.yaml')
  const generated = await go(
    'run',
    OAPI_CODEGEN,
    '-package',
    'main',
    '-generate',
    'types,client',
    '-o',
    'layerd.gen.go',
    spec,
  )
  if (/dial tcp|no such host|proxy/.test(generated.stderr) && generated.code !== 0) return t.skip('no module proxy')
  assert.equal(generated.code, 0, generated.output)
  const built = await go('build', '-o', 'client', '.')
  assert.equal(built.code, 0, built.output)
  const { api, destination, folder, assertDone } = await scene(t)
  const args = ['-api', api, '-package', FIXTURES.nemoAmd64, '-to', destination, '-save', folder]
  const ran = await runProcess(t, join(work, 'client'), args)
  assert.equal(ran.code, 0, ran.output)
  await assertDone(ran.stdout)
  return undefined
})

test('the way to make the Go client stands in it as it is tried here', async () => {
  assert.ok((await readFile(join(REPOSITORY, 'clients/go/main.go'), 'utf8')).includes(OAPI_CODEGEN))
})
