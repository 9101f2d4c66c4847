import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { FIXTURES } from '../helpers/packages/fixtures.ts'
import { skipWithout } from '../helpers/processes/real-tools.ts'
import { Scene, toolbox } from './scene.ts'

const scene = new Scene()
before(() => scene.start())
after(() => scene[Symbol.asyncDispose]())

/** Tags and what lies under them, of all repositories below a namespace. */
async function held(namespace: string): Promise<Record<string, string | null>> {
  const registry = `http://${scene.host}/v2`
  const { repositories } = (await (await fetch(`${registry}/_catalog`)).json()) as { repositories: string[] }
  const found: Record<string, string | null> = {}
  for (const repository of repositories.filter((name) => name.startsWith(`${namespace}/`))) {
    const { tags } = (await (await fetch(`${registry}/${repository}/tags/list`)).json()) as { tags: string[] }
    for (const tag of tags) {
      const accept = 'application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json'
      const answer = await fetch(`${registry}/${repository}/manifests/${tag}`, { headers: { accept } })
      found[`${repository.slice(namespace.length)}:${tag}`] = answer.headers.get('docker-content-digest')
    }
  }
  return found
}

for (const [name, flags, options] of [
  ['zarf’s tags with and without checksum', [], {}],
  ['no checksums', ['--no-img-checksum'], { imageChecksum: false }],
  ['one component', ['--components', 'instruments'], { components: ['instruments'] }],
] as const) {
  test(`zarf package mirror-resources writes what layerd's mirror does: ${name}`, async (t) => {
    if (skipWithout(t, 'zarf')) return
    const run = await toolbox(t)
    const by = (who: string) => `${who}-${flags.length}-${Object.keys(options).length}-${name.length}`
    const args = [
      'package',
      'mirror-resources',
      FIXTURES.nemoAmd64,
      '--images',
      '--confirm',
      '--plain-http',
      '--no-color',
    ]
    await run('zarf', [...args, '--registry-url', `${scene.host}/${by('zarf')}`, ...flags])
    const destination = `oci://${scene.host}/${by('layerd')}`
    await scene.job({ kind: 'mirror', source: await scene.upload(FIXTURES.nemoAmd64), destination, options })
    const zarf = await held(by('zarf'))
    assert.ok(Object.keys(zarf).length > 0)
    assert.deepEqual(await held(by('layerd')), zarf)
  })
}
