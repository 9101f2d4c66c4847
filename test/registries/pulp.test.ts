import assert from 'node:assert/strict'
import process from 'node:process'
import { test } from 'node:test'
import { parseDestination } from '../../src/content/reference.ts'
import { fixedCredentials } from '../../src/oci/credentials/fixed.ts'
import { FIXTURES } from '../helpers/packages/fixtures.ts'
import { publishTo, registryClient } from '../helpers/packages/publishing.ts'
import { skipWithout } from '../helpers/processes/real-tools.ts'
import { findPostgres } from '../helpers/registries/live/postgres.ts'
import { installPulp, startPulp } from '../helpers/registries/live/pulp.ts'
import { liveRounds } from '../helpers/registries/live/rounds.ts'
import { liveSizes } from '../helpers/registries/live/settings.ts'

test('Pulp', { timeout: 3_600_000 }, async (t) => {
  if (skipWithout(t, 'nginx')) return
  const postgres = findPostgres()
  if (postgres.skip !== undefined) return t.skip(postgres.skip)
  const pulp = await installPulp(t)
  if (pulp.skip !== undefined) return t.skip(pulp.skip)
  const { host, login } = await startPulp(t, { pulp: pulp.found, postgres: postgres.found })
  // A second for each call: a hundred layers and a large one are for registries that are quicker.
  const { largeMib, layers } = liveSizes(process.env)
  const sizes = { largeMib: Math.min(largeMib, 16), layers: Math.min(layers, 20) }
  await liveRounds(t, { reference: `${host}/team`, login }, sizes)

  await t.test('a wrong password is told as such', async () => {
    const client = registryClient(t, fixedCredentials(host, { ...login, password: 'wrong' }))
    const published = publishTo(t, FIXTURES.nemoAmd64, parseDestination(`${host}/team`), { client })
    await assert.rejects(published, { code: 'REGISTRY_UNAUTHORIZED', hint: /did not take the user "admin"/ })
  })
})
