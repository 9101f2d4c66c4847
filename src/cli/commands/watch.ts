import type { Job } from '../client/contract.ts'
import type { ApiClient } from '../client/api-client.ts'
import { answer } from '../client/calls.ts'
import { barRenderer, jsonRenderer, lineRenderer, type Renderer, silentRenderer } from '../view/renderers.ts'
import { fold } from '../view/format.ts'
import { endText } from '../view/texts.ts'
import { type ExitCode, screenColumns, showsBars, type Terminal } from '../client/terminal.ts'

export interface WatchOptions {
  json: boolean
  quiet: boolean
  /** What is said of the job that ended. Default: endText. */
  ending?: (job: Job, exit: ExitCode) => string
}

const SECOND_INTERRUPT_MS = 3000

/**
 * Follows a job to its end. Ctrl-C leaves the job running and says how to go on; a second one within three seconds
 * cancels it. Returns the ended job, or undefined when the watcher left.
 */
export async function watchJob(
  id: string,
  client: ApiClient,
  terminal: Terminal,
  options: WatchOptions,
): Promise<{ job: Job | undefined; exit: ExitCode }> {
  const renderer = rendererFor(terminal, options)
  const leave = Promise.withResolvers<'left'>()
  let canceling = false
  let timer: NodeJS.Timeout | undefined
  const stopListening = terminal.onInterrupt(() => {
    if (timer) {
      clearTimeout(timer)
      canceling = true
      terminal.stderr.write(`canceling ${id}\n`)
      answer(client.calls.POST('/v1/jobs/{id}/cancel', { params: { path: { id } } })).catch((error: unknown) => {
        terminal.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
        leave.resolve('left')
      })
      return
    }
    renderer.stop()
    terminal.stderr.write(
      `The job goes on. Watch it: layerd watch ${id}   Cancel it: layerd cancel ${id}, or press Ctrl-C again now.\n`,
    )
    timer = setTimeout(() => leave.resolve('left'), SECOND_INTERRUPT_MS)
  })
  try {
    const job = await Promise.race([follow(id, client, renderer), leave.promise])
    if (job === 'left') return { job: undefined, exit: 130 }
    renderer.stop()
    const exit = canceling ? 130 : job.state === 'succeeded' ? 0 : 1
    if (!options.json && !options.quiet)
      terminal.stderr.write(`${fold((options.ending ?? endText)(job, exit), screenColumns(terminal.stderr))}\n`)
    return { job, exit }
  } finally {
    clearTimeout(timer)
    stopListening()
    renderer.stop()
  }
}

async function follow(id: string, client: ApiClient, renderer: Renderer): Promise<Job> {
  for await (const event of client.events(id)) {
    renderer.event(event)
    if (event.type === 'end') return event.job
  }
  return answer(client.calls.GET('/v1/jobs/{id}', { params: { path: { id } } }))
}

function rendererFor(terminal: Terminal, options: WatchOptions): Renderer {
  if (options.json) return jsonRenderer(terminal)
  if (options.quiet) return silentRenderer
  return showsBars(terminal) ? barRenderer(terminal) : lineRenderer(terminal)
}
