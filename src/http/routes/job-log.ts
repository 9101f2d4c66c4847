import { Readable } from 'node:stream'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { type JobLogLine, LOG_LEVELS } from '../../jobs/model/definitions.ts'
import type { JobEventReader } from '../../jobs/progress/events.ts'
import type { JobQueue } from '../../jobs/queue.ts'
import { AppError } from '../../lib/errors.ts'
import { lifeOf } from '../requests/look.ts'
import { withoutUnseen } from '../../lib/text.ts'
import { chooseMediaType } from '../answers/accept.ts'
import type { OpenAnswers } from '../answers/open-answers.ts'
import { jobLogSchema } from '../schemas/job.ts'

export interface JobLogOptions {
  queue: JobQueue
  events: JobEventReader
  closing: AbortSignal
  openStreams: OpenAnswers
}

/** Lines read at once. */
const PAGE = 200
/** What keeps the connection of a silent follower known to be alive. */
const KEEP_ALIVE_MS = 30_000

const RENDERERS: Readonly<Record<string, (line: JobLogLine) => string>> = {
  'text/plain': ({ time, level, message }) => `${time} ${level.toUpperCase().padEnd(5)} ${withoutUnseen(message)}\n`,
  'application/x-ndjson': (line) => `${JSON.stringify(line)}\n`,
}

const READ = { scope: ['jobs:read'], job: 'looked-at' } as const

/** What became of a job, in words. */
export const jobLogRoutes: FastifyPluginAsyncTypebox<JobLogOptions> = async (app, options) => {
  const { queue, events, closing, openStreams } = options

  app.get(
    '/v1/jobs/:id/logs', // A followed log would wait in the compressor until there is enough of it.
    { schema: jobLogSchema, config: READ, exposeHeadRoute: false, compress: false },
    async (request, reply) => {
      const { id } = request.job
      const { follow = false, since, level = 'debug' } = request.query
      const type = chooseMediaType(request.headers.accept, Object.keys(RENDERERS))
      const render = RENDERERS[type ?? '']
      if (!render) throw notOffered()
      const isWanted = (line: JobLogLine) =>
        LOG_LEVELS.indexOf(line.level) >= LOG_LEVELS.indexOf(level) &&
        (since === undefined || Date.parse(line.time) >= Date.parse(since))
      if (follow) openStreams.take(request, reply)
      const signal = lifeOf(request, closing)
      const read: Read = (after) => queue.log(id, { after, limit: PAGE })
      const lines = follow ? followed(id, { queue, events, signal, read }) : written(read)
      if (follow) keepOpen(request)
      return sendLines(reply, `${type}; charset=utf-8`, rendered(lines, { isWanted, render, signal }))
    },
  )
}

function sendLines(reply: FastifyReply, type: string, lines: AsyncIterable<string>): FastifyReply {
  void reply.header('cache-control', 'no-store').header('vary', 'accept').header('x-accel-buffering', 'no')
  return reply.type(type).send(Readable.from(lines))
}

type Read = (after: string | undefined) => ReturnType<JobQueue['log']>

async function* rendered(
  lines: AsyncIterable<JobLogLine>,
  { isWanted, render, signal }: Rendering,
): AsyncGenerator<string> {
  for await (const line of lines) {
    if (signal.aborted) return
    if (isWanted(line)) yield render(line)
  }
}

interface Rendering {
  isWanted: (line: JobLogLine) => boolean
  render: (line: JobLogLine) => string
  signal: AbortSignal
}

/** All that is there, in pages. Returns the place of the last one. */
async function* written(read: Read, after?: string): AsyncGenerator<JobLogLine, string | undefined> {
  let last = after
  for (;;) {
    const page = await read(last)
    for (const { line } of page) yield line
    last = page.at(-1)?.id ?? last
    if (page.length < PAGE) return last
  }
}

interface Following extends Pick<JobLogOptions, 'queue' | 'events'> {
  signal: AbortSignal
  read: Read
}

/** What is there and what comes, until the job has ended or the client has gone. Each event may mean a new line. */
async function* followed(id: string, { queue, events, signal, read }: Following): AsyncGenerator<JobLogLine> {
  let wake = Promise.withResolvers<void>()
  const news = () => wake.resolve()
  signal.addEventListener('abort', news, { once: true })
  const unsubscribe = await events.subscribe(id, news, news)
  try {
    for (let last: string | undefined; !signal.aborted; ) {
      wake = Promise.withResolvers()
      const job = await queue.get(id)
      last = yield* written(read, last)
      if (job === undefined || job.done) return
      await wake.promise
    }
  } finally {
    signal.removeEventListener('abort', news)
    await unsubscribe()
  }
}

/** A log may be silent for hours: TCP tells whether its reader is still there. */
function keepOpen({ socket }: FastifyRequest): void {
  socket.setTimeout(0)
  socket.setKeepAlive(true, KEEP_ALIVE_MS)
}

function notOffered(): AppError {
  return new AppError('NOT_ACCEPTABLE', 'a log comes as text/plain or application/x-ndjson')
}
