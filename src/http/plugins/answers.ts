import compress from '@fastify/compress'
import type { FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { AppError } from '../../lib/errors.ts'
import { chooseMediaType } from '../answers/accept.ts'

/** Text alone: packages are compressed already, and their ranges count bytes as they are stored. */
const COMPRESSED = /^(?:application\/(?:json|problem\+json|yaml|javascript)|text\/(?:plain|html|css|javascript))\b/
/** Smaller than a packet, it would save nothing. */
const LEAST_BYTES = 1400

/**
 * What all answers have in common: a type that the Accept header takes, JSON that ends in a line, and gzip for who asks.
 * Throws NOT_ACCEPTABLE. Source: RFC 9110 12.5.
 */
export const answersPlugin = fastifyPlugin(
  async (app: FastifyInstance) => {
    app.addHook('onRequest', async (request) => {
      const offered = offeredBy(request.routeOptions.schema?.response)
      if (offered.length === 0 || chooseMediaType(request.headers.accept, offered) !== undefined) return
      throw new AppError('NOT_ACCEPTABLE', `there is no ${String(request.headers.accept).slice(0, 100)} of this`, {
        hint: `It comes as ${offered.join(', ')}.`,
      })
    })
    app.addHook('onSend', async (_request, reply, payload) => {
      const isJson = /^application\/(?:problem\+)?json\b/.test(String(reply.getHeader('content-type') ?? ''))
      // A shell's prompt would stand behind the closing brace.
      return isJson && typeof payload === 'string' && payload !== '' && !payload.endsWith('\n')
        ? `${payload}\n`
        : payload
    })
    await app.register(compress, {
      encodings: ['gzip'],
      threshold: LEAST_BYTES,
      customTypes: COMPRESSED,
      globalDecompression: false,
    })
  },
  { name: 'answers', fastify: '5.x' },
)

interface Answer {
  content?: Record<string, unknown>
}

/** Media types of a route's successes, by its schema; none where it has no content, or no schema. */
function offeredBy(response: unknown): string[] {
  const successes = Object.entries((response ?? {}) as Record<string, Answer>).filter(([status]) =>
    status.startsWith('2'),
  )
  const types = successes.flatMap(([status, { content }]) => {
    if (content) return Object.keys(content)
    return status === '204' ? [] : ['application/json']
  })
  return [...new Set(types)]
}
