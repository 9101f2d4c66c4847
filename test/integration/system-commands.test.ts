import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pipeTerminal, runCommand } from '../helpers/processes/cli-program.ts'
import { startApp } from '../helpers/streams/http-app.ts'
import { waitFor } from '../helpers/wait-for.ts'

const SETTINGS = [
  { name: 'LAYERD_MAX_JOBS', value: '20000', from: 'default', secret: false, description: 'Jobs.' },
  { name: 'LAYERD_PUBLIC_URL', value: 'a\u001b[2Jb', from: 'environment', secret: false, description: 'Its URL.' },
  { name: 'LAYERD_TOKEN', value: null, from: 'file', secret: true, description: 'A token.' },
] as const

test('layerd system and layerd settings say what holds, and whether it is well', async (t) => {
  const { app, jobs, listen } = await startApp(t, { system: { settings: SETTINGS, storeMaxBytes: 10 * 1024 ** 3 } })
  const api = await listen()
  const run = async (...argv: string[]) => {
    const { terminal, out, err } = pipeTerminal(api)
    return { exit: await runCommand(argv, terminal), out: out(), err: err() }
  }
  const { out } = await waitFor('Redis to answer', async () => {
    const told = await run('system')
    return told.exit === 0 ? told : undefined
  })
  assert.match(out, /^store {2}0 B used, of 10\.0 GiB\ndisk {3}.+ of .+ free, 0 B kept free\nredis {2}layerd's own, /)
  assert.match(out, /primary\n.+ of memory, no limit\n.+append-only file \(fsync \w+\)/)
  assert.equal((await run('system', '--quiet')).out, '')
  const json = JSON.parse((await run('system', '--json')).out) as { store: { limitBytes: number } }
  assert.equal(json.store.limitBytes, 10 * 1024 ** 3)

  const all = await run('settings')
  assert.deepEqual(all.out.split('\n'), [
    'SETTING            FROM         VALUE',
    'LAYERD_MAX_JOBS    default      20000',
    'LAYERD_PUBLIC_URL  environment  a\\u001b[2Jb',
    'LAYERD_TOKEN       file         (a secret)',
    '',
  ])
  assert.doesNotMatch((await run('settings', '--set')).out, /MAX_JOBS/)
  assert.deepEqual(
    (await run('settings', '--json')).out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown),
    [...SETTINGS],
  )
  await jobs.redis.stop()
  const ill = await run('system')
  assert.equal(ill.exit, 1)
  assert.match(ill.out, /Redis does not answer/)
  await app.close()
})
