import assert from 'node:assert/strict'
import process from 'node:process'
import { test } from 'node:test'
import { parseDestination } from '../../src/content/reference.ts'
import { fixedCredentials } from '../../src/oci/credentials/fixed.ts'
import { FIXTURES } from '../helpers/packages/fixtures.ts'
import { publishTo, registryClient } from '../helpers/packages/publishing.ts'
import { buildGoModule } from '../helpers/registries/live/built-programs.ts'
import { GITEA, startGitea } from '../helpers/registries/live/gitea.ts'
import { liveRounds } from '../helpers/registries/live/rounds.ts'
import { liveSizes } from '../helpers/registries/live/settings.ts'

test('Gitea', { timeout: 3_600_000 }, async (t) => {
  const built = await buildGoModule(t, GITEA)
  if (built.skip !== undefined) return t.skip(built.skip)
  const { host, login } = await startGitea(t, built.found)
  await liveRounds(t, { reference: `${host}/${login.username}`, login }, liveSizes(process.env))

  const publish = async (namespace: string, password: string): Promise<unknown> => {
    const client = registryClient(t, fixedCredentials(host, { ...login, password }))
    return await publishTo(t, FIXTURES.nemoAmd64, parseDestination(`${host}/${namespace}`), { client })
  }
  await t.test('an owner that does not exist is named', async () => {
    await assert.rejects(publish('nobody', login.password), {
      code: 'REGISTRY_NAME_UNKNOWN',
      hint: /"nobody" has to exist there first/,
    })
  })
  await t.test('a wrong password is told as such', async () => {
    await assert.rejects(publish(login.username, 'wrong'), {
      code: 'REGISTRY_UNAUTHORIZED',
      hint: /did not take the user "ann"/,
    })
  })
})
