import process from 'node:process'
import { test } from 'node:test'
import type { Cleanup } from '../helpers/cleanup.ts'
import { freePort, listens } from '../helpers/network/ports.ts'
import { startProcess } from '../helpers/processes/processes.ts'
import { installGoProgram } from '../helpers/registries/live/built-programs.ts'
import { liveRounds } from '../helpers/registries/live/rounds.ts'
import { liveSizes } from '../helpers/registries/live/settings.ts'
import { startZot } from '../helpers/registries/zot.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

interface GoRegistry {
  /** What `go install` is told. */
  where: string
  /** Starts it, open to all; its host:port. */
  start: (t: Cleanup, program: string) => Promise<string>
}

const REGISTRIES: Record<string, GoRegistry> = {
  zot: {
    where: 'zotregistry.dev/zot/v2/cmd/zot@latest',
    start: async (t, program) => (await startZot(t, { program })).host,
  },
  olareg: { where: 'github.com/olareg/olareg/cmd/olareg@latest', start: startOlareg },
}

for (const [name, { where, start }] of Object.entries(REGISTRIES)) {
  test(name, { timeout: 3_600_000 }, async (t) => {
    const program = await installGoProgram(t, name, where)
    if (program.skip !== undefined) return t.skip(program.skip)
    await liveRounds(t, { reference: `${await start(t, program.found)}/team` }, liveSizes(process.env))
  })
}

async function startOlareg(t: Cleanup, program: string): Promise<string> {
  const port = await freePort()
  const args = ['serve', '--addr', '127.0.0.1', '--port', `${port}`, '--dir', await tempDir(t, 'olareg')]
  const child = await startProcess(t, program, args)
  await waitFor('olareg to listen, or end', async () => !child.isRunning() || (await listens(port)))
  if (!child.isRunning()) throw new Error(`olareg ended:\n${child.output()}`)
  return `127.0.0.1:${port}`
}
