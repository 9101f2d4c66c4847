import { execFile } from 'node:child_process'
import { access, constants } from 'node:fs/promises'
import { delimiter, isAbsolute, join } from 'node:path'
import { promisify } from 'node:util'
import { AppError } from '../lib/errors.ts'
import { isBefore, readVersion, type ToolVersion } from './zarf-command.ts'

/** A program that deploys. */
export interface Tool {
  /** The setting that names it. */
  readonly setting: string
  readonly program: string
  readonly oldest: ToolVersion
}

const run = promisify(execFile)
const VERSION_MS = 15_000
const VERSION_BYTES = 64 * 1024

/**
 * Where the program lies, and its version: undefined where it was built without one. Asked anew for each job, so that one which was
 * replaced counts at once. Throws DEPLOY_TOOL_UNUSABLE.
 */
export async function openTool(
  { setting, program, oldest }: Tool,
  env: Readonly<Record<string, string>>,
): Promise<{ path: string; version: ToolVersion | undefined }> {
  const path = await findProgram(program, env['PATH'] ?? '')
  if (path === undefined) throw unusable(setting, `${program} is no program that can be run here`)
  const version = readVersion(await ask(setting, path, env))
  if (isBefore(version, oldest)) {
    throw unusable(
      setting,
      `${program} is of version ${version?.join('.')}, and has to be of ${oldest.join('.')} or newer`,
    )
  }
  return { path, version }
}

async function ask(setting: string, path: string, env: Readonly<Record<string, string>>): Promise<string> {
  try {
    const options = { env, timeout: VERSION_MS, killSignal: 'SIGKILL', maxBuffer: VERSION_BYTES } as const
    const { stdout, stderr } = await run(path, ['version'], options)
    return `${stdout}\n${stderr}`
  } catch (error) {
    const { code, signal, killed } = error as { code?: unknown; signal?: unknown; killed?: boolean }
    const how = killed ? `did not answer within ${VERSION_MS / 1000} s` : `ended with ${String(signal ?? code)}`
    throw unusable(setting, `${path} version ${how}`, error)
  }
}

async function findProgram(program: string, path: string): Promise<string | undefined> {
  const places = program.includes('/') ? [program] : path.split(delimiter).map((folder) => join(folder, program))
  for (const place of places.filter(isAbsolute)) {
    if (
      await access(place, constants.X_OK).then(
        () => true,
        () => false,
      )
    )
      return place
  }
  return undefined
}

function unusable(setting: string, why: string, cause?: unknown): AppError {
  return new AppError('DEPLOY_TOOL_UNUSABLE', `${setting}: ${why}`, {
    hint: `Whoever runs layerd sets ${setting} to the program, on every machine that has workers, and retries the job then.`,
    ...(cause === undefined ? {} : { cause }),
  })
}
