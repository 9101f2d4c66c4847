import assert from 'node:assert/strict'
import { test } from 'node:test'
import { load } from 'js-yaml'
import { createEventBudget } from '../../../src/deploy/event-budget.ts'
import { toolEnvironment } from '../../../src/deploy/environment.ts'
import { readLine } from '../../../src/deploy/said.ts'
import { isBefore, OLDEST_ZARF, readVersion, zarfCommand } from '../../../src/deploy/zarf-command.ts'

const WISH = {
  does: 'deploy',
  folder: '/work',
  archive: '/work/zarf-package-nemo.tar.zst',
  set: { NAME: `$(id) "; 'a\n€ \u0000` },
  components: ['web', '-debug'],
  adopt: true,
  stepTimeoutSeconds: 90,
  version: [0, 84, 0],
} as const

test('what is asked for stands in the configuration, as YAML reads it, and on no command line', () => {
  const { args, config, env } = zarfCommand(WISH)
  assert.deepEqual(args, ['package', 'deploy', WISH.archive, '--confirm', '--take-ownership'])
  const { package: told, log_format } = load(config.text) as { package: unknown; log_format: string }
  assert.deepEqual(told, { deploy: { set: WISH.set, components: 'web,-debug', timeout: '90s' } })
  assert.equal(log_format, 'json')
  assert.deepEqual(env, { ZARF_CONFIG: '/work/zarf-config.yaml' })
})

test('an older zarf is asked as it knows it', () => {
  assert.equal(zarfCommand({ ...WISH, version: [0, 80, 9] }).args.at(-1), '--adopt-existing-resources')
  assert.equal(zarfCommand({ ...WISH, version: undefined }).args.at(-1), '--take-ownership')
  assert.equal(zarfCommand({ ...WISH, does: 'remove' }).args.at(-1), '--confirm')
})

test('versions are told apart', () => {
  assert.deepEqual(readVersion('v0.84.0\n'), [0, 84, 0])
  assert.equal(readVersion('unset-development-only'), undefined)
  assert.equal(isBefore([0, 43, 9], OLDEST_ZARF), true)
  for (const version of [[0, 44, 0], [0, 100, 0], [1, 0, 0], undefined] as const)
    assert.equal(isBefore(version, OLDEST_ZARF), false)
})

test('lines of zarf are told in words, others as they are', () => {
  const line = '{"time":"2026-01-01","level":"WARN","msg":"deploying component","name":"web app","n":1}'
  const said = { level: 'warn', message: 'deploying component name="web app" n=1', component: 'web app' }
  assert.deepEqual(readLine(line), said)
  for (const text of ['plain', '{"level":"INFO"}', '{', '[1]'])
    assert.deepEqual(readLine(text), { level: 'info', message: text })
})

test('programs see nothing of the environment that is not theirs', () => {
  const env = { PATH: '/bin', LAYERD_REDIS_URL: 'redis://:secret@host', AWS_SECRET_ACCESS_KEY: 'x', HOME: '/root' }
  assert.deepEqual(toolEnvironment(env, '/work'), { PATH: '/bin', HOME: '/work/home', TMPDIR: '/work/tmp' })
})

test('a flood of lines leaves room for what goes wrong, and is counted', () => {
  let now = 0
  const budget = createEventBudget(() => now)
  const info = { level: 'info', message: 'x' }
  const taken = Array.from({ length: 1000 }, () => budget.take(info)).filter(Boolean).length
  assert.equal(taken, 401)
  assert.equal(budget.leftOut, 599)
  assert.equal(budget.take({ level: 'error', message: 'bad' }), true)
  now = 2000
  assert.equal(budget.take(info), true)
  assert.equal(budget.take({ level: 'error', message: 'x'.repeat(11 * 1024 ** 2) }), false)
})
