import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { pipeTerminal, runCommand } from '../helpers/processes/cli-program.ts'
import { startApp } from '../helpers/streams/http-app.ts'

const GAR = 'europe-docker.pkg.dev'
const ECR = '123456789012.dkr.ecr.eu-central-1.amazonaws.com'

async function bed(t: TestContext) {
  const started = await startApp(t)
  const api = await started.listen()
  const run = async (argv: readonly string[], input: string) => {
    const { terminal, out, err } = pipeTerminal(api)
    const stdin = (async function* () {
      yield input
    })()
    const exit = await runCommand(argv, { ...terminal, stdin })
    return { exit, out: out(), err: err() }
  }
  return { ...started, run }
}

test("layerd login keeps a cloud's key, that comes as JSON on standard input", async (t) => {
  const { run, registries } = await bed(t)
  const keys = { accessKeyId: 'AKIAEXAMPLEEXAMPLE01', secretAccessKey: 'secret/of+the+key' }
  const kept = await run(['login', ECR, '--kind', 'aws', '--no-check'], JSON.stringify(keys))
  assert.deepEqual(kept, { exit: 0, out: `credentials of ${ECR} are kept, for all of its repositories\n`, err: '' })
  const [record] = await registries.list()
  assert.deepEqual(record && registries.secretOf(record), { kind: 'aws', keys, metadata: false })
  const principal = { tenantId: 't', clientId: 'c', clientSecret: 'secret-of-it' }
  assert.equal(
    (await run(['login', 'nemo.azurecr.io', '--kind', 'azure', '--no-check'], JSON.stringify(principal))).exit,
    0,
  )
  const list = await run(['registries'], '')
  assert.match(list.out, /amazonaws\.com +aws +AKIAEXAMPLEEXAMPLE01/)
  assert.match(list.out, /azurecr\.io +azure +c /)
})

test('what is no key is refused, and not repeated', async (t) => {
  const { run, registries } = await bed(t)
  for (const [argv, input, says] of [
    [['login', ECR, '--kind', 'aws'], 'AKIA:my-secret-text', /--kind aws reads JSON/],
    [['login', ECR, '--kind', 'azure'], '["my-secret-text"]', /--kind azure reads JSON/],
    [['login', GAR, '--kind', 'google', '-u', 'x'], '{}', /a key of Google has no --username/],
    [['login', GAR, '--kind', 'google'], '{"private_key": "my-secret-text"}', /no JSON of a service account/],
    [['login', 'evil.example', '--kind', 'aws'], '{"chain": true, "region": "us-east-1"}', /names of ECR alone/],
  ] as const) {
    const { exit, out, err } = await run(argv, input)
    assert.notEqual(exit, 0)
    assert.match(err, says)
    assert.doesNotMatch(out + err, /my-secret-text/)
  }
  assert.deepEqual(await registries.list(), [])
})
