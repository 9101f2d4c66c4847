import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { type ExitCode, runProgram, type Surroundings } from '../../../src/cli/program.ts'

/** A terminal that is none: what a command writes to it is read with `out` and `err`. */
export function pipeTerminal(url = 'http://127.0.0.1:9') {
  const stdout = new PassThrough()
  const stderr = new PassThrough()
  const read = (stream: PassThrough) => String(stream.read() ?? '')
  const made: Surroundings = {
    stdout,
    stderr,
    stdin: (async function* () {})(),
    cwd: '/',
    env: { url, token: undefined },
    onInterrupt: () => () => undefined,
  }
  return { terminal: made, out: () => read(stdout), err: () => read(stderr) }
}

/** A command line in this process; the roles of the daemon are not for it. */
export async function runCommand(argv: readonly string[], terminal: Surroundings): Promise<ExitCode> {
  const never = () => assert.fail(`${argv.join(' ')} started a role`)
  const roles = { allInOne: never, serve: never, worker: never, storeCheck: never }
  const output = {
    stdout: (text: string) => void terminal.stdout.write(text),
    stderr: (text: string) => void terminal.stderr.write(text),
  }
  return (await runProgram(argv, { version: '1.2.3', roles, surroundings: () => terminal }, output)) as ExitCode
}
