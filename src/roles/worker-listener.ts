import { createServer, type ServerResponse } from 'node:http'
import { AppError } from '../lib/errors.ts'
import { EXPOSITION_TYPE } from '../metrics/aggregate.ts'
import type { RoleContext } from './context.ts'

export interface Probed {
  readonly isReady: () => Promise<boolean>
  /** What Prometheus reads. */
  readonly figures: () => Promise<string>
}

/** /livez, /readyz and /metrics of a worker that was started alone, where LAYERD_WORKER_LISTEN says. Throws CONFIG_INVALID. */
export async function listenForProbes({ config, logger }: RoleContext, probed: Probed): Promise<AsyncDisposable> {
  const { workerListen } = config
  if (workerListen === undefined) return { [Symbol.asyncDispose]: async () => undefined }
  const server = createServer((request, response) => {
    answer(request.url ?? '', response, probed).catch((error: unknown) => {
      logger.warn({ err: error }, 'a probe was not answered')
      response.destroy()
    })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const place = `${workerListen.host}:${workerListen.port}`
      reject(new AppError('CONFIG_INVALID', `LAYERD_WORKER_LISTEN: cannot listen on ${place} (${error.code})`))
    })
    server.listen(workerListen.port, workerListen.host, resolve)
  })
  logger.info({ listen: server.address() }, 'the worker answers probes')
  return {
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function answer(url: string, response: ServerResponse, { isReady, figures }: Probed): Promise<void> {
  const path = url.split('?')[0]
  if (path === '/metrics') {
    response.writeHead(200, { 'content-type': EXPOSITION_TYPE }).end(await figures())
  } else if (path === '/livez') {
    json(response, 200, { live: true })
  } else if (path === '/readyz') {
    const ready = await isReady()
    json(response, ready ? 200 : 503, { ready })
  } else {
    json(response, 404, { code: 'NOT_FOUND', detail: 'a worker answers /livez, /readyz and /metrics' })
  }
}

function json(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`)
}
