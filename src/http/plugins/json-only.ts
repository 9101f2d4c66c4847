import type { IncomingHttpHeaders } from 'node:http'
import type { FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { AppError } from '../../lib/errors.ts'

/**
 * Bodies are application/json and nothing else. A web page can send any other type to another origin without asking first
 * (a form, a "simple" request of the Fetch standard); this one it can't. A POST without a body needs no type: that a page of
 * another origin sends one is seen by its Origin (own-origin.ts).
 */
export const jsonOnlyPlugin = fastifyPlugin(
  async (app: FastifyInstance) => {
    app.removeAllContentTypeParsers()
    const parse = app.getDefaultJsonParser('error', 'error')
    app.addContentTypeParser<string>('application/json', { parseAs: 'string' }, (request, text, done) => {
      // curl -X POST -H 'Content-Type: application/json' sends no body; where one is needed its schema says so.
      if (text === '') done(null, undefined)
      else void parse(request, text, done)
    })
    app.addHook('onRequest', async (request) => {
      if (request.method !== 'POST' || request.is404 || isJson(request.headers['content-type'])) return
      if (hasNoBody(request.headers) && request.headers['content-type'] === undefined) return
      throw new AppError('UNSUPPORTED_MEDIA_TYPE', `${request.method} takes application/json only`, {
        hint: "Send the header 'Content-Type: application/json'.",
        details: { contentType: request.headers['content-type']?.slice(0, 200) ?? null },
      })
    })
  },
  { name: 'json-only', fastify: '5.x' },
)

function hasNoBody({ 'content-length': length, 'transfer-encoding': coding }: IncomingHttpHeaders): boolean {
  return coding === undefined && (length === undefined || length === '0')
}

function isJson(contentType: string | undefined): boolean {
  return contentType?.split(';', 1)[0]?.trim().toLowerCase() === 'application/json'
}
