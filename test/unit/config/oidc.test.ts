import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadConfig } from '../../../src/config/config.ts'
import { tempDir } from '../../helpers/temp-dir.ts'

const LEAST = {
  HOME: '/home/somebody',
  LAYERD_OIDC_ISSUER: 'https://id.example/realms/uds',
  LAYERD_OIDC_CLIENT_ID: 'layerd',
  LAYERD_OIDC_GROUPS_FILE: '/etc/layerd/groups.yaml',
}

test('an issuer needs a client or an audience, and groups; the rest has defaults', async (t) => {
  assert.deepEqual(loadConfig(LEAST).oidc, {
    issuer: 'https://id.example/realms/uds',
    audience: 'layerd',
    clientId: 'layerd',
    clientSecret: undefined,
    scopes: 'openid profile email',
    groupsClaim: 'groups',
    groupsFile: '/etc/layerd/groups.yaml',
  })
  const file = join(await tempDir(t), 'secret')
  await writeFile(file, 'hush\n')
  const more = {
    LAYERD_OIDC_AUDIENCE: 'api',
    LAYERD_OIDC_CLIENT_SECRET_FILE: file,
    LAYERD_OIDC_SCOPES: 'openid groups',
  }
  const { audience, clientSecret, scopes } = loadConfig({ ...LEAST, ...more }).oidc ?? {}
  assert.deepEqual([audience, clientSecret, scopes], ['api', 'hush', 'openid groups'])
  for (const issuer of [
    'http://127.0.0.1:8080',
    'http://localhost/x',
    'https://10.0.0.1/realms/a',
    'https://id.example/',
  ]) {
    assert.equal(loadConfig({ ...LEAST, LAYERD_OIDC_ISSUER: issuer }).oidc?.issuer, issuer)
  }
})

test('what is wrong with an issuer ends the start, by the name of the setting and without the secret', () => {
  const cases: ReadonlyArray<readonly [Record<string, string>, RegExp]> = [
    [{ LAYERD_OIDC_ISSUER: 'http://id.example' }, /^LAYERD_OIDC_ISSUER must be an https URL/],
    [{ LAYERD_OIDC_ISSUER: 'http://10.0.0.1' }, /^LAYERD_OIDC_ISSUER must/],
    [{ LAYERD_OIDC_ISSUER: 'https://me:pw@id.example' }, /^LAYERD_OIDC_ISSUER must [^]*(?<!pw)$/],
    [{ LAYERD_OIDC_ISSUER: 'https://id.example?x=1' }, /^LAYERD_OIDC_ISSUER must/],
    [{ LAYERD_OIDC_ISSUER: 'https://id.example#' }, /^LAYERD_OIDC_ISSUER must/],
    [{ LAYERD_OIDC_ISSUER: 'id.example' }, /^LAYERD_OIDC_ISSUER must/],
    [{ LAYERD_OIDC_CLIENT_ID: '' }, /^LAYERD_OIDC_AUDIENCE is not set, nor is LAYERD_OIDC_CLIENT_ID/],
    [{ LAYERD_OIDC_GROUPS_FILE: '' }, /^LAYERD_OIDC_GROUPS_FILE is not set/],
    [{ LAYERD_OIDC_SCOPES: 'profile' }, /^LAYERD_OIDC_SCOPES must have openid/],
    [{ LAYERD_OIDC_CLIENT_ID: 'x'.repeat(2000) }, /^LAYERD_OIDC_CLIENT_ID must be one line/],
    [{ LAYERD_OIDC_CLIENT_SECRET: 'hush\u0000' }, /^LAYERD_OIDC_CLIENT_SECRET must be one line/],
    [{ LAYERD_OIDC_ISSUER: '' }, /^LAYERD_OIDC_CLIENT_ID has no effect without LAYERD_OIDC_ISSUER/],
    [{ LAYERD_OIDC_ISSUER: '', LAYERD_OIDC_CLIENT_ID: '' }, /^LAYERD_OIDC_GROUPS_FILE has no effect/],
  ]
  for (const [changes, message] of cases) {
    assert.throws(
      () => loadConfig({ ...LEAST, ...changes }),
      { code: 'CONFIG_INVALID', message },
      JSON.stringify(changes),
    )
  }
})
