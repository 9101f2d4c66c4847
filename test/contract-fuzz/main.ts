/**
 * `npm run test:contract-fuzz [seconds]`: schemathesis (PyPI) against a daemon of its own for two minutes. The daemon has no
 * workers, and what is not loopback goes to a proxy that is not there: nothing leaves this machine. Skipped loudly where
 * schemathesis can't be had. Exit code 0: no server error and no answer that the document does not know.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { CleanupStack } from '../helpers/cleanup.ts'
import { REPOSITORY } from '../helpers/processes/doc-commands.ts'
import { readyUrl, startLayerd } from '../helpers/processes/layerd.ts'
import { findProgram } from '../helpers/processes/real-tools.ts'
import { shortTempDir, tempDir } from '../helpers/temp-dir.ts'

const VERSION = '4.32.5'
const DEAD_PROXY = 'http://127.0.0.1:9'

/** On PATH, else from PyPI into a folder of its own. */
function schemathesis(folder: string): string | undefined {
  const known = findProgram('schemathesis')
  if (known !== undefined) return known
  const shown = { stdio: ['ignore', 2, 2] as Array<'ignore' | number> }
  if (spawnSync('python3', ['-m', 'venv', folder], shown).status !== 0) return undefined
  spawnSync(join(folder, 'bin/pip'), ['install', '--quiet', `schemathesis==${VERSION}`], shown)
  const installed = join(folder, 'bin/schemathesis')
  return existsSync(installed) ? installed : undefined
}

const seconds = Number(process.argv[2] ?? 120)
await using stack = new CleanupStack()
const program = schemathesis(await tempDir(stack, 'venv'))
if (program === undefined) {
  process.stderr.write('SKIPPED: contract-fuzz needs schemathesis, which is neither on PATH nor to be had from PyPI\n')
} else {
  const env = { LAYERD_WORKERS: '0', HTTP_PROXY: DEAD_PROXY, HTTPS_PROXY: DEAD_PROXY, NO_PROXY: '127.0.0.1,localhost' }
  const layerd = await startLayerd(stack, { dataDir: await shortTempDir(stack), env })
  const url = await readyUrl(layerd)
  const config = join(REPOSITORY, 'test/contract-fuzz/schemathesis.toml')
  const args = ['--config-file', config, 'run', join(REPOSITORY, 'openapi.yaml'), '--url', url]
  const limits = ['--max-time', String(seconds), '--request-timeout', '20', '--no-color']
  const { status } = spawnSync(program, [...args, ...limits], {
    stdio: ['ignore', 'inherit', 'inherit'],
    cwd: await tempDir(stack, 'fuzz'),
    env: { ...process.env, HTTP_PROXY: '', HTTPS_PROXY: '', http_proxy: '', https_proxy: '' },
  })
  const failed = layerd.output().includes('"msg":"request failed"')
  if (failed) process.stderr.write('the daemon logged an error of its own:\n')
  for (const line of layerd.output().split('\n'))
    if (line.includes('"request failed"')) process.stderr.write(`${line}\n`)
  process.exitCode = failed ? 1 : (status ?? 1)
}
