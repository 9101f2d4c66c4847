import assert from 'node:assert/strict'
import { chmod, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { AppError } from '../../../../src/lib/errors.ts'
import { runCredentialHelper } from '../../../../src/oci/credentials/helper.ts'
import { helperEnvironment } from '../../../../src/oci/credentials/helper-environment.ts'
import type { Cleanup } from '../../../helpers/cleanup.ts'
import { credentialHelper } from '../../../helpers/registries/docker-login.ts'
import { tempDir } from '../../../helpers/temp-dir.ts'
import { waitFor } from '../../../helpers/wait-for.ts'

const question = { helper: 'test', namedIn: '/etc/config.json', serverUrl: 'a.example' }
const ANSWER = '{"Username":"ann","Secret":"pw"}'

async function run(t: Cleanup, script: string, timeoutMs = 30_000, env: Record<string, string> = {}) {
  const PATH = await credentialHelper(t, script)
  return await runCredentialHelper(question, { env: { PATH, ...env }, signal: new AbortController().signal, timeoutMs })
}

for (const [what, script, retry, why] of [
  ['complains', 'echo the keychain is locked: secret; exit 1', 'transient', /it ended with status 1/],
  ['crashes', 'kill -SEGV $$', 'transient', /it ended with signal SIGSEGV/],
  ['hangs', 'exec sleep 60', 'transient', /it took longer than 300 ms/],
  ['hangs in a program that it has started', 'sleep 60; true', 'transient', /it took longer than 300 ms/],
  ['prints megabytes', 'head -c 5000000 /dev/zero', 'permanent', /it printed more than 65536 bytes/],
  ['answers with something else', 'echo secret', 'permanent', /it did not answer with/],
  ['answers with null', 'echo null', 'permanent', /it did not answer with/],
] as const) {
  test(`a helper that ${what} fails ${retry === 'transient' ? 'for the moment' : 'for good'}`, async (t) => {
    await assert.rejects(run(t, script, /hangs/.test(what) ? 300 : 30_000), (error: AppError) => {
      assert.deepEqual([error.code, error.retry], ['CREDENTIALS_INVALID', retry])
      assert.match(error.message, why)
      assert.match(error.message, /docker-credential-test, which \/etc\/config\.json names/)
      assert.doesNotMatch(`${error.message} ${error.hint}`, /secret/)
      return true
    })
  })
}

test('a helper that is not there, or that may not be run, fails for good', async (t) => {
  const signal = AbortSignal.timeout(60_000)
  const failure = { code: 'CREDENTIALS_INVALID', retry: 'permanent' }
  const nowhere = { env: { PATH: '/nowhere' }, signal }
  await assert.rejects(runCredentialHelper(question, nowhere), { ...failure, message: /no such program on PATH/ })
  const PATH = await credentialHelper(t, `echo '${ANSWER}'`)
  const [folder = ''] = PATH.split(':')
  await chmod(join(folder, 'docker-credential-test'), 0o644)
  await assert.rejects(runCredentialHelper(question, { env: { PATH }, signal }), {
    ...failure,
    message: /layerd's user may not run it/,
  })
})

test('an answer with a BOM is read', async (t) => {
  assert.deepEqual(await run(t, `printf '\\357\\273\\277%s\\n' '${ANSWER}'`), {
    kind: 'basic',
    username: 'ann',
    password: 'pw',
  })
})

test('what a helper has started ends with it', async (t) => {
  const pidFile = join(await tempDir(t), 'pid')
  await assert.rejects(run(t, `sleep 600 & echo $! > ${pidFile}; wait`, 300), { message: /took longer/ })
  const pid = Number(await readFile(pidFile, 'utf8'))
  assert.ok(pid > 0)
  await waitFor('the end of the program that the helper had started', async () => {
    const state = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => 'gone')
    return state === 'gone' || / Z /.test(state)
  })
})

test('helpers get what they are known to read, and nothing of ours', () => {
  const theirs = (
    'PATH HOME LANG LC_ALL TMPDIR XDG_RUNTIME_DIR DBUS_SESSION_BUS_ADDRESS DOCKER_CONFIG ' +
    'HTTPS_PROXY https_proxy HTTP_PROXY NO_PROXY no_proxy ALL_PROXY SSL_CERT_FILE SSL_CERT_DIR ' +
    'AWS_PROFILE AWS_REGION AWS_WEB_IDENTITY_TOKEN_FILE AWS_ECR_DISABLE_CACHE AWS_ECR_CACHE_DIR ' +
    'GOOGLE_APPLICATION_CREDENTIALS CLOUDSDK_CONFIG GCE_METADATA_HOST AZURE_CLIENT_ID IDENTITY_ENDPOINT ' +
    'GNUPGHOME PASSWORD_STORE_DIR PASSWORD_STORE_GPG_OPTS VAULT_ADDR GITHUB_TOKEN DOCKER_q_io_USR'
  ).split(' ')
  const ours = (
    'LAYERD_TOKEN LAYERD_REDIS_URL LAYERD_SECRET_KEY_FILE LAYERD_TOKENS_FILE DOCKER_AUTH_CONFIG ' +
    'NODE_OPTIONS LD_PRELOAD REDIS_URL OTEL_EXPORTER_OTLP_HEADERS XAWS_KEY MY_PATH PATHS'
  ).split(' ')
  const env = Object.fromEntries([...theirs, ...ours].map((name) => [name, `value of ${name}`]))
  const passed = helperEnvironment(env)
  assert.deepEqual(Object.keys(passed), theirs)
  assert.equal(passed['AWS_PROFILE'], 'value of AWS_PROFILE')
})
