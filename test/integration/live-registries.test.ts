import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { runProcess } from '../helpers/processes/processes.ts'
import { skipWithout } from '../helpers/processes/real-tools.ts'
import { startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import { liveRegistries, liveSizes } from '../helpers/registries/live/settings.ts'

const RUNNER = fileURLToPath(new URL('../run.ts', import.meta.url))
const LIVE = fileURLToPath(new URL('../registries/live.test.ts', import.meta.url))
const USER = 'ann'
const PASSWORD = 'opensesame-to-no-eyes'

/** `npm run test:registries`, its live part, with these variables and none of the test's own environment. */
async function runLive(t: TestContext, variables: Record<string, string>) {
  const own = Object.keys(process.env).filter((name) => name.startsWith('LAYERD_LIVE_'))
  const none = Object.fromEntries(own.map((name) => [name, undefined]))
  const env = { ...none, NODE_TEST_CONTEXT: undefined, LAYERD_LIVE_LARGE: '9', LAYERD_LIVE_LAYERS: '7', ...variables }
  return await runProcess(t, process.execPath, [RUNNER, LIVE], { env, timeoutMs: 300_000 })
}

const own = (reference: string, password = PASSWORD) => ({
  LAYERD_LIVE_OWN_REFERENCE: reference,
  LAYERD_LIVE_OWN_USERNAME: USER,
  LAYERD_LIVE_OWN_PASSWORD: password,
})

async function startWithAccounts(t: TestContext, options: { deleteEnabled?: boolean } = {}) {
  return await startDockerRegistry(t, { htpasswd: { user: USER, password: PASSWORD }, ...options })
}

test('a registry that the environment names is gone through and left clean, and others are said to be left out', async (t) => {
  if (skipWithout(t, 'docker-registry', 'htpasswd')) return
  const registry = await startWithAccounts(t)
  const { code, output } = await runLive(t, own(`${registry.host}/team`))
  assert.equal(code, 0, output)
  assert.match(output, /^6 passed, 0 failed, 3 skipped$/m)
  for (const name of ['HUB', 'GHCR', 'ECR']) assert.match(output, new RegExp(`SKIPPED .*live: ${name}: not set: `))
  assert.match(output, /^NOTE 127\.0\.0\.1:\d+ got an image manifest$/m)
  assert.ok(!output.includes(PASSWORD))
  const headers = { authorization: `Basic ${btoa(`${USER}:${PASSWORD}`)}` }
  const tags = await fetch(`${registry.url}/v2/team/layerd-live/tags/list`, { headers })
  assert.equal(((await tags.json()) as { tags: unknown }).tags ?? null, null)
})

test('what a registry does not let be deleted is told by name, and is no failure', async (t) => {
  if (skipWithout(t, 'docker-registry', 'htpasswd')) return
  const registry = await startWithAccounts(t, { deleteEnabled: false })
  const variables = { ...own(registry.host), LAYERD_LIVE_LARGE: '0' }
  const { code, output } = await runLive(t, variables)
  assert.equal(code, 0, output)
  assert.match(
    output,
    /SKIPPED .*nothing stays behind: delete it by hand: oci:\/\/127\.0\.0\.1:\d+\/layerd-live:0\.0\.1-/,
  )
  assert.match(output, /SKIPPED .*a layer of 0 MiB: LAYERD_LIVE_LARGE is 0/)
})

test('a wrong password fails the run, says why, and is not printed', async (t) => {
  if (skipWithout(t, 'docker-registry', 'htpasswd')) return
  const registry = await startWithAccounts(t)
  const { code, output } = await runLive(t, own(registry.host, `${PASSWORD}-wrong`))
  assert.equal(code, 1, output)
  assert.match(output, /REGISTRY_UNAUTHORIZED/)
  assert.match(output, /SKIPPED .*a package of 7 layers: the first package did not get through/)
  assert.ok(!output.includes(PASSWORD))
})

test('with nothing to do the run says for each registry what is missing, and ends with 0', async (t) => {
  const { code, output } = await runLive(t, {
    LAYERD_LIVE_HUB_REFERENCE: 'docker.io/someone',
    LAYERD_LIVE_ECR_PASSWORD: '',
  })
  assert.equal(code, 0, output)
  assert.match(output, /live: HUB: not set: LAYERD_LIVE_HUB_USERNAME, LAYERD_LIVE_HUB_PASSWORD$/m)
  assert.match(output, /^0 passed, 0 failed, 3 skipped$/m)
})

test('any name will do, those of the nightly run come first, and sizes are whole numbers', () => {
  const named = liveRegistries({ LAYERD_LIVE_MY_HARBOR_REFERENCE: 'harbor.example/team', LAYERD_LIVE_LARGE: '1' })
  assert.deepEqual(
    named.map(({ name }) => name),
    ['HUB', 'GHCR', 'ECR', 'MY_HARBOR'],
  )
  assert.deepEqual(liveSizes({ LAYERD_LIVE_LARGE: '', LAYERD_LIVE_LAYERS: '7' }), { largeMib: 64, layers: 7 })
  assert.throws(() => liveSizes({ LAYERD_LIVE_LARGE: '1 GiB' }), /LAYERD_LIVE_LARGE is no whole number/)
})
