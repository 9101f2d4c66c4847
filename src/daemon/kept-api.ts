import type { Config } from '../config/config.ts'
import { AppError } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import { onApiNews } from './api-channel.ts'
import { type ChildEnd, heapFlags, type NodeProgram, nodeCommand } from './child.ts'
import type { KeptChildren, KeptPlace } from './kept-children.ts'

export interface KeptApiOptions {
  config: Config
  program: NodeProgram
  /** KeptPlace's. */
  onStarted: NonNullable<KeptPlace['onStarted']>
  logger: Logger
}

/** The first start: where it serves, or the code it ended with before it did; it has said why then. */
export type FirstApi = { readonly url: string } | { readonly exitCode: number }

/**
 * Keeps the API alive, on the port that the first one got. What keeps the first one from serving ends it all: a wrong
 * setting does not get better by trying. Rejects with INTERNAL when that one could not say why.
 */
export function keepApi(
  children: KeptChildren,
  { config, program, onStarted, logger }: KeptApiOptions,
): Promise<FirstApi> {
  const first = Promise.withResolvers<FirstApi>()
  let serves = false
  let place: { url: string; port: number } | undefined
  const onServing = (start: number) => {
    if (place === undefined) return
    if (serves) logger.info({ url: place.url, start }, 'the API serves again')
    serves = true
    first.resolve({ url: place.url })
  }
  children.keep({
    what: 'the API',
    command() {
      const command = nodeCommand(program, heapFlags(config.apiHeapBytes), ['serve', '--supervised'])
      return place === undefined ? command : { ...command, env: { LAYERD_LISTEN: listenText(config, place.port) } }
    },
    onStarted(child, start) {
      onApiNews(child, (news) => {
        if (news.layerdApi === 'serving') onServing(start)
        else place ??= news
      })
      onStarted(child, start)
    },
    onEnded(end) {
      if (serves) return true
      if (end.code === null) first.reject(silentEnd(end))
      else first.resolve({ exitCode: end.code })
      return false
    },
  })
  return first.promise
}

function listenText({ listen: { host } }: Config, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

function silentEnd({ reason, lastLine }: ChildEnd): AppError {
  const said = lastLine === undefined ? '' : `: ${lastLine}`
  return new AppError('INTERNAL', `the API did not come up, ${reason}${said}`)
}
