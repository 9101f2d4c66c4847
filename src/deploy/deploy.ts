import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { abortReason, throwIfAborted } from '../lib/abort.ts'
import { AppError } from '../lib/errors.ts'
import { createMask } from './mask.ts'
import { createOutputFile } from './output-file.ts'
import { type RunEnd, runProgram } from './run-program.ts'
import type { Said } from './said.ts'
import { openTool } from './tools.ts'
import { toolEnvironment } from './environment.ts'
import type { DeployFolders } from './work-folder.ts'
import { OLDEST_ZARF, zarfCommand } from './zarf-command.ts'

export { type DeployFolders, openDeployFolders } from './work-folder.ts'
export { readOutputFile, removeOutputFile } from './output-file.ts'
export type { Said } from './said.ts'

export interface DeployRequest {
  readonly does: 'deploy' | 'remove'
  readonly jobId: string
  /** DeployFolders.begin's; the package's file lies in it. */
  readonly folder: string
  readonly archive: string
  readonly set: Readonly<Record<string, string>>
  /** Texts that nobody is to read in what the program writes. */
  readonly secrets: readonly string[]
  readonly components?: readonly string[] | undefined
  readonly adopt?: boolean | undefined
  readonly timeoutSeconds: number
  readonly stepTimeoutSeconds?: number | undefined
  /** What one deploys to at a time. */
  readonly cluster: string
}

export interface DeployDependencies {
  /** Asked when nothing stands between the program and its start. */
  readonly begin: () => Promise<void>
  readonly onSaid: (said: Said) => void
  readonly signal: AbortSignal
}

export interface Deployed {
  /** That the program said it was at, in order. */
  readonly components: readonly string[]
}

export interface DeployerOptions {
  /** LAYERD_ZARF. */
  readonly zarf: string
  readonly folders: DeployFolders
  /** Of this process; the programs get what they need of it. */
  readonly env: Readonly<Record<string, string | undefined>>
}

export interface Deployer {
  readonly folders: DeployFolders
  /**
   * Runs the program to its end. Once this settles nothing of it is left, however it ended. Throws DEPLOY_FAILED with its last words, DEPLOY_TIMED_OUT,
   * DEPLOY_TOOL_UNUSABLE, DEPLOY_BUSY, and the signal's reason.
   */
  run(request: DeployRequest, dependencies: DeployDependencies): Promise<Deployed>
}

/** What is told to end has so long; a cancel is to be done within 10 s. */
const GRACE_MS = 5000
/** Another program's last processes may still be ending. */
const TAKEN_WAIT_MS = 15_000

export function createDeployer({ zarf, folders, env }: DeployerOptions): Deployer {
  return {
    folders,
    async run(request, dependencies) {
      const { folder, secrets, timeoutSeconds } = request
      const surroundings = toolEnvironment(env, folder)
      const { path, version } = await openTool(
        { setting: 'LAYERD_ZARF', program: zarf, oldest: OLDEST_ZARF },
        surroundings,
      )
      const command = zarfCommand({
        ...request,
        components: request.components,
        adopt: request.adopt ?? false,
        stepTimeoutSeconds: request.stepTimeoutSeconds,
        version,
      })
      await writeFile(join(folder, command.config.name), command.config.text, { mode: 0o600 })
      const components: string[] = []
      await using output = createOutputFile(folders.output(request.jobId))
      const end = await alone(dependencies.signal, () =>
        runProgram({
          program: path,
          args: command.args,
          env: { ...surroundings, ...command.env },
          folder,
          lock: folders.lock(lockName(request.cluster)),
          graceMs: GRACE_MS,
          timeoutMs: timeoutSeconds * 1000,
          mask: createMask(secrets),
          output,
          ...dependencies,
          onSaid(said) {
            if (said.component !== undefined) components.push(said.component)
            dependencies.onSaid(said)
          },
        }),
      )
      tellRest(end, dependencies)
      throwIfAborted(dependencies.signal)
      throwIfFailed(end, { does: request.does, program: zarf, timeoutSeconds })
      return { components }
    },
  }
}

/** What it left, and what was too much to be told. */
function tellRest({ end, leftOut }: RunEnd, { onSaid }: DeployDependencies): void {
  if (leftOut > 0) onSaid({ level: 'info', message: `${leftOut} lines more stand in the job's output alone` })
  const left = end === 'killed' ? 0 : end.left
  if (left > 0) onSaid({ level: 'warn', message: `${left} processes that were left running were ended` })
}

function throwIfFailed(
  { end, timedOut, lastLines }: RunEnd,
  { does, program, timeoutSeconds }: { does: string; program: string; timeoutSeconds: number },
): void {
  const details = { program, lastLines }
  const hint = `What it said stands in the job's log and output. Look at what the cluster has now before you ${does} again.`
  if (timedOut) {
    const message = `${program} was ended: the ${does} took more than ${timeoutSeconds} s`
    throw new AppError('DEPLOY_TIMED_OUT', message, { details: { ...details, timeoutSeconds }, hint })
  }
  if (end === 'killed') {
    throw new AppError('DEPLOY_FAILED', `${program} was killed together with its guardian`, { details, hint })
  }
  const { code, signal } = end
  if (code === 0) return
  const how = signal === null ? `ended with code ${code}` : `was ended by ${signal}`
  const said = lastLines.at(-1)
  const message = `${program} ${how}${said === undefined ? '' : `: ${said}`}`
  throw new AppError('DEPLOY_FAILED', message, {
    details: { ...details, ...(signal === null ? { code } : { signal }) },
    hint,
  })
}

async function alone(signal: AbortSignal, run: () => Promise<RunEnd | 'taken'>): Promise<RunEnd> {
  const until = performance.now() + TAKEN_WAIT_MS
  for (;;) {
    const end = await run()
    if (end !== 'taken') return end
    if (performance.now() > until) throw busy()
    await delay(500, undefined, { signal }).catch(() => {
      throw abortReason(signal)
    })
  }
}

/** One deploys to a cluster at a time. */
export function busy(): AppError {
  return new AppError('DEPLOY_BUSY', 'waiting for the cluster: another deploy to it is under way', {
    hint: 'The job goes on when that one has ended.',
  })
}

/** Names of clusters are addresses. */
function lockName(cluster: string): string {
  return createHash('sha256').update(cluster).digest('hex').slice(0, 32)
}
