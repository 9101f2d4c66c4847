import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { startIssuer } from '../helpers/access/issuer.ts'
import { GROUPS } from '../helpers/access/opened-oidc.ts'
import { readyUrl, startLayerd } from '../helpers/processes/layerd.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'
import { tokenLine } from '../helpers/streams/tokens.ts'

test('layerd starts while its issuer is away, lets file tokens in, and those of the issuer once it is back', async (t) => {
  const issuer = await startIssuer(t)
  const dataDir = await tempDir(t)
  const [tokensFile, groupsFile] = [join(dataDir, 'tokens'), join(dataDir, 'groups.json')]
  await writeFile(tokensFile, tokenLine('file', 'jobs:read', 'secret'))
  await writeFile(groupsFile, GROUPS)
  await issuer.away()
  const layerd = await startLayerd(t, {
    dataDir,
    env: {
      LAYERD_TOKENS_FILE: tokensFile,
      LAYERD_OIDC_ISSUER: issuer.url,
      LAYERD_OIDC_AUDIENCE: 'layerd',
      LAYERD_OIDC_GROUPS_FILE: groupsFile,
      LAYERD_ALLOWED_REGISTRIES: 'registry.example',
      LAYERD_DENY_PRIVATE: 'true',
      LAYERD_WORKERS: '0',
    },
  })
  const url = await readyUrl(layerd)
  const get = async (path: string, token: string) => {
    const response = await fetch(url + path, { headers: { authorization: `Bearer ${token}` } })
    const { code, principal } = (await response.json()) as { code?: string; principal?: string }
    return { said: `${response.status} ${code ?? principal ?? ''}`, headers: response.headers }
  }
  const users = await issuer.token({ groups: ['users'] })
  const nobody = await issuer.token({ sub: 'bob', groups: [] })
  const refused = await get('/v1/jobs', users)
  assert.equal(refused.said, '503 ISSUER_UNAVAILABLE')
  assert.ok(Number(refused.headers.get('retry-after')) > 0)
  assert.equal((await get('/v1/jobs', 'secret')).said, '200 ')
  await issuer.back()
  await waitFor('the issuer to be asked again', async () => (await get('/v1/jobs', users)).said === '200 ')
  assert.equal((await get('/v1/jobs', nobody)).said, '403 SCOPE_MISSING')
  assert.equal((await get('/v1/session', nobody)).said, '200 oidc:bob')
  const bad = await get('/v1/session', `${users}AAAA`)
  assert.deepEqual(
    [bad.said, bad.headers.get('www-authenticate')],
    ['401 UNAUTHENTICATED', 'Bearer realm="layerd", error="invalid_token"'],
  )
  assert.ok(!layerd.output().includes(users.split('.')[2] ?? users))
})
