import { globSync, realpathSync } from 'node:fs'
import { chmod } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import process from 'node:process'
import type { Cleanup } from '../../cleanup.ts'
import { freePort, listens } from '../../network/ports.ts'
import { runProcess, startProcess } from '../../processes/processes.ts'
import { findProgram } from '../../processes/real-tools.ts'
import { shortTempDir } from '../../temp-dir.ts'
import { waitFor } from '../../wait-for.ts'
import type { Built } from './built-programs.ts'

/** The folder of PostgreSQL's own programs; Debian keeps them off PATH. */
export function findPostgres(): Built<string> {
  const initdb = findProgram('initdb') ?? globSync('/usr/lib/postgresql/*/bin/initdb').toSorted().at(-1)
  if (initdb === undefined) return { skip: 'no PostgreSQL server: apt-get install postgresql' }
  if (process.getuid?.() === 0 && findProgram('runuser') === undefined) return { skip: 'not on PATH: runuser' }
  // A link of its own in a folder of PATH need not stand beside the others.
  return { found: dirname(realpathSync(initdb)) }
}

/** A PostgreSQL of one's own on loopback, that lets in everybody, with an empty database of user and name `user`. Returns its port. */
export async function startPostgres(t: Cleanup, programs: string, user: string): Promise<number> {
  const folder = await shortTempDir(t)
  const data = join(folder, 'data')
  const port = await freePort()
  // It refuses to run as root; Debian's package brings a user for it.
  const asOther = process.getuid?.() === 0
  if (asOther) await chmod(folder, 0o777)
  const command = (name: string, ...args: string[]): [string, string[]] => {
    const path = join(programs, name)
    return asOther ? [findProgram('runuser') ?? '', ['-u', 'postgres', '--', path, ...args]] : [path, args]
  }
  const run = async (...given: Parameters<typeof command>) => {
    const { code, output } = await runProcess(t, ...command(...given), { cwd: folder, timeoutMs: 300_000 })
    if (code !== 0) throw new Error(`${given.join(' ')} failed:\n${output}`)
  }
  await run('initdb', '-D', data, '-A', 'trust', '-U', user)
  const serve = ['-D', data, '-k', folder, '-p', `${port}`, '-c', 'listen_addresses=127.0.0.1', '-c', 'fsync=off']
  const child = await startProcess(t, ...command('postgres', ...serve), { cwd: folder })
  await waitFor('PostgreSQL to listen, or end', async () => !child.isRunning() || (await listens(port)))
  if (!child.isRunning()) throw new Error(`PostgreSQL ended:\n${child.output()}`)
  await waitFor('PostgreSQL to be up', () =>
    run('createdb', '-h', '127.0.0.1', '-p', `${port}`, '-U', user, user).then(() => true),
  )
  return port
}
