import type { IncomingHttpHeaders } from 'node:http'
import type { FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { AppError } from '../../lib/errors.ts'
import { beyondBounds } from '../../lib/loop/json-bounds.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Its body is no JSON, and of a type that no form can send, which the route sees to. */
    body?: 'own'
  }
}

/** Far more than any request needs, and what checking it costs stays small. */
const BOUNDS = { values: 5000, keys: 1000, depth: 32 }

/**
 * Bodies are application/json and nothing else. A web page can send any other type to another origin without asking first
 * (a form, a "simple" request of the Fetch standard); this one it can't. A POST without a body needs no type: that a page of
 * another origin sends one is seen by its Origin (own-origin.ts).
 */
export const jsonOnlyPlugin = fastifyPlugin(
  async (app: FastifyInstance) => {
    app.removeAllContentTypeParsers()
    const parse = app.getDefaultJsonParser('error', 'error')
    app.addContentTypeParser<Buffer>('application/json', { parseAs: 'buffer' }, (request, bytes, done) => {
      const why = beyondBounds(bytes, BOUNDS)
      // curl -X POST -H 'Content-Type: application/json' sends no body; where one is needed its schema says so.
      if (bytes.length === 0) done(null, undefined)
      else if (why !== undefined) done(tooMuch(why))
      else void parse(request, bytes.toString('utf8'), done)
    })
    app.addHook('onRequest', async (request) => {
      if (request.method !== 'POST' || request.is404 || isJson(request.headers['content-type'])) return
      if (request.routeOptions.config.body === 'own') return
      if (hasNoBody(request.headers) && request.headers['content-type'] === undefined) return
      throw new AppError('UNSUPPORTED_MEDIA_TYPE', `${request.method} takes application/json only`, {
        hint: "Send the header 'Content-Type: application/json'.",
        details: { contentType: request.headers['content-type']?.slice(0, 200) ?? null },
      })
    })
  },
  { name: 'json-only', fastify: '5.x' },
)

function tooMuch(why: string): AppError {
  return new AppError('BODY_INVALID', `the body ${why}`, { hint: 'GET /openapi.json says what a body may hold.' })
}

function hasNoBody({ 'content-length': length, 'transfer-encoding': coding }: IncomingHttpHeaders): boolean {
  return coding === undefined && (length === undefined || length === '0')
}

function isJson(contentType: string | undefined): boolean {
  return contentType?.split(';', 1)[0]?.trim().toLowerCase() === 'application/json'
}
