import { mkdir, writeFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import type { Cleanup } from '../../cleanup.ts'
import { freePort } from '../../network/ports.ts'
import { runProcess, startProcess } from '../../processes/processes.ts'
import { tempDir } from '../../temp-dir.ts'
import { waitFor } from '../../wait-for.ts'
import type { GoProgram } from './built-programs.ts'

/** 1.27 does not build from its module alone. */
export const GITEA = { module: 'code.gitea.io/gitea@v1.26.0', name: 'gitea', tags: 'sqlite sqlite_unlock_notify' }

export interface Gitea {
  /** 127.0.0.1:PORT, as in a reference. */
  readonly host: string
  /** An owner of packages, and who may push for it. */
  readonly login: { readonly username: string; readonly password: string }
}

/** A Gitea of one's own on a free loopback port, plain HTTP, with one user; gone when the test ends. */
export async function startGitea(t: Cleanup, { program, source }: GoProgram): Promise<Gitea> {
  const folder = await tempDir(t, 'gitea')
  const port = await freePort()
  const host = `127.0.0.1:${port}`
  const login = { username: 'ann', password: 'opensesame-gitea' }
  const config = join(folder, 'app.ini')
  await mkdir(join(folder, 'work'))
  await writeFile(config, settings({ folder, port, source }))
  const env = { HOME: join(folder, 'work') }
  const run = async (...args: string[]) => {
    const { code, output } = await runProcess(t, program, [...args, '--config', config], { env, timeoutMs: 300_000 })
    if (code !== 0) throw new Error(`gitea ${args.join(' ').replace(login.password, '***')} failed:\n${output}`)
  }
  await run('migrate')
  const user = ['--username', login.username, '--password', login.password, '--email', 'ann@example.org']
  await run('admin', 'user', 'create', ...user, '--must-change-password=false')
  const child = await startProcess(t, program, ['web', '--config', config], { env })
  await child.waitForOutput(/Starting new Web server/, { timeoutMs: 300_000 })
  await waitFor('Gitea to answer', async () => (await fetch(`http://${host}/api/healthz`)).ok)
  return { host, login }
}

function settings({ folder, port, source }: { folder: string; port: number; source: string }): string {
  const work = join(folder, 'work')
  return `
RUN_USER = ${userInfo().username}
${process.getuid?.() === 0 ? 'I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true' : ''}
WORK_PATH = ${work}
[server]
HTTP_ADDR = 127.0.0.1
HTTP_PORT = ${port}
ROOT_URL = http://127.0.0.1:${port}/
DISABLE_SSH = true
OFFLINE_MODE = true
STATIC_ROOT_PATH = ${source}
[database]
DB_TYPE = sqlite3
PATH = ${join(work, 'gitea.db')}
[security]
INSTALL_LOCK = true
[packages]
ENABLED = true
[actions]
ENABLED = false
[log]
LEVEL = Info
MODE = console
`
}
