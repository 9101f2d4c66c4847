import { cp, mkdir, rename, rm, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { Cleanup } from '../../cleanup.ts'
import { runProcess } from '../../processes/processes.ts'
import { findProgram } from '../../processes/real-tools.ts'

const BUILD_MS = 3_600_000

/** What is there, or why it is not: a reason to skip a test. */
export type Built<T> = { readonly found: T; readonly skip?: undefined } | { readonly skip: string }

/** Where programs are kept between runs, outside of the repository. */
export function programCache(): string {
  return join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'layerd-test-programs')
}

export interface GoModule {
  /** Such as code.gitea.io/gitea@v1.26.0. */
  module: string
  /** Of the program. */
  name: string
  tags?: string
}

export interface GoProgram {
  readonly program: string
  /** A copy of the module's source: what a program reads at run time may be in there. */
  readonly source: string
}

/**
 * The program that a Go module's root makes, built within its own module (`go install` takes none that replaces others), once
 * for each version. Takes minutes then. Throws where it does not build.
 */
export async function buildGoModule(t: Cleanup, { module, name, tags = '' }: GoModule): Promise<Built<GoProgram>> {
  const go = findProgram('go')
  if (go === undefined) return { skip: 'not on PATH: go' }
  const folder = join(programCache(), module.replaceAll('/', '-'))
  const built = { program: join(folder, name), source: join(folder, 'source') }
  if (await isThere(built.program)) return { found: built }
  const download = await runProcess(t, go, ['mod', 'download', '-json', module], { timeoutMs: BUILD_MS })
  if (download.code !== 0) return { skip: `${module} cannot be had: ${lastLine(download.output)}` }
  const { Dir: read = '' } = JSON.parse(download.stdout) as { Dir?: string }
  await rm(built.source, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  await cp(read, built.source, { recursive: true })
  await runProcess(t, 'chmod', ['-R', 'u+w', built.source])
  const args = ['build', '-tags', tags, '-o', `${built.program}.new`, '.']
  const { code, output } = await runProcess(t, go, args, { cwd: built.source, timeoutMs: BUILD_MS })
  if (code !== 0) throw new Error(`${module} does not build:\n${output.slice(-2000)}`)
  await rename(`${built.program}.new`, built.program)
  return { found: built }
}

/** A program that is on PATH, or that `go install` brings into the cache. */
export async function installGoProgram(t: Cleanup, name: string, where: string): Promise<Built<string>> {
  const known = findProgram(name)
  if (known !== undefined) return { found: known }
  const program = join(programCache(), 'bin', name)
  if (await isThere(program)) return { found: program }
  const go = findProgram('go')
  if (go === undefined) return { skip: `not on PATH: ${name}, nor go` }
  const env = { GOBIN: join(programCache(), 'bin') }
  const { code, output } = await runProcess(t, go, ['install', where], { env, timeoutMs: BUILD_MS })
  return code === 0 ? { found: program } : { skip: `go install ${where}: ${lastLine(output)}` }
}

export function lastLine(text: string): string {
  return text.trim().split('\n').at(-1)?.trim() ?? ''
}

async function isThere(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  )
}
