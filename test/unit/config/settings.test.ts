import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { Environment, loadConfig } from '../../../src/config/config.ts'
import type { Env } from '../../../src/config/secrets.ts'
import { type Setting, settingsInForce } from '../../../src/config/settings.ts'
import { tempDir } from '../../helpers/temp-dir.ts'

const PASSWORD = 'a-password-that-nobody-may-see'

function inForce(env: Env): ReadonlyMap<string, Setting> {
  return new Map(settingsInForce(loadConfig(env), env).map((setting) => [setting.name, setting]))
}

function told(settings: ReadonlyMap<string, Setting>, name: string): string {
  const { value, from } = settings.get(name) ?? { value: 'none', from: 'nowhere' }
  return `${value} by ${from}`
}

describe('settings in force', () => {
  test('each one is there, once and by name, with what it is for', () => {
    const settings = [...inForce({ HOME: '/home/ann' }).values()]
    const names = settings.map(({ name }) => name)
    assert.deepEqual(names, [...new Set(names)].toSorted())
    for (const name of Object.keys(Environment.properties)) assert.ok(names.includes(name), name)
    const undescribed = settings.filter(({ description }) => description === '').map(({ name }) => name)
    assert.deepEqual(undescribed, [])
  })

  test('says what holds and whether anybody said so, and works out defaults and paths', () => {
    const settings = inForce({ HOME: '/home/ann', LAYERD_MAX_JOBS: '7', LAYERD_POLICY_FILE: '/etc/../etc/policy.yaml' })
    assert.equal(told(settings, 'LAYERD_MAX_JOBS'), '7 by environment')
    assert.equal(told(settings, 'LAYERD_MAX_HOSTS'), '1000 by default')
    assert.equal(told(settings, 'LAYERD_POLICY_FILE'), '/etc/policy.yaml by environment')
    assert.equal(told(settings, 'LAYERD_DATA_DIR'), '/home/ann/.local/share/layerd by default')
    assert.equal(told(settings, 'LAYERD_FILE_ROOTS'), '/home/ann/.local/share/layerd/packages by default')
    assert.equal(told(settings, 'LAYERD_STORE_MAX_BYTES'), 'null by default')
    assert.equal(told(inForce({ LAYERD_MAX_JOBS: '' }), 'LAYERD_MAX_JOBS'), '20000 by default')
  })

  test('secrets are told by nothing but that they are set', () => {
    const settings = inForce({
      LAYERD_TOKEN: PASSWORD,
      LAYERD_OIDC_ISSUER: 'https://issuer.example/',
      LAYERD_OIDC_CLIENT_ID: 'layerd',
      LAYERD_OIDC_CLIENT_SECRET: PASSWORD,
      LAYERD_OIDC_GROUPS_FILE: '/etc/groups.yaml',
    })
    for (const name of ['LAYERD_TOKEN', 'LAYERD_OIDC_CLIENT_SECRET']) {
      assert.equal(told(settings, name), 'null by environment')
      assert.equal(settings.get(name)?.secret, true)
    }
    assert.equal(told(settings, 'LAYERD_OIDC_ISSUER'), 'https://issuer.example/ by environment')
    assert.equal(told(settings, 'LAYERD_OIDC_AUDIENCE'), 'layerd by default')
    assert.equal(JSON.stringify([...settings.values()]).includes(PASSWORD), false)
    assert.equal(told(inForce({}), 'LAYERD_TOKEN'), 'null by default')
  })

  test('URLs are told without users, passwords and queries, wherever they were read', async (t) => {
    const file = join(await tempDir(t), 'url')
    await writeFile(file, `rediss://ann:${PASSWORD}@redis.example:6380/2\n`)
    const settings = inForce({
      LAYERD_REDIS_URL_FILE: file,
      LAYERD_URL: `https://ann:${PASSWORD}@layerd.example/a`,
      LAYERD_PUBLIC_URL: `https://layerd.example/?key=${PASSWORD}#${PASSWORD}`,
      https_proxy: `http://ann:${PASSWORD}@proxy.example:3128`,
      HTTP_PROXY: `ann:${PASSWORD}@proxy.example`,
    })
    assert.equal(told(settings, 'LAYERD_REDIS_URL'), 'rediss://redis.example:6380/2 by file')
    assert.equal(told(settings, 'LAYERD_URL'), 'https://layerd.example/a by environment')
    assert.equal(told(settings, 'LAYERD_PUBLIC_URL'), 'https://layerd.example/?… by environment')
    assert.equal(told(settings, 'HTTPS_PROXY'), 'http://proxy.example:3128/ by environment')
    assert.match(told(settings, 'HTTP_PROXY'), /^http:\/\/proxy\.example\/? by environment$/)
    assert.equal(JSON.stringify([...settings.values()]).includes(PASSWORD), false)
  })
})
