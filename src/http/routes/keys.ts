import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { requireUnlimited } from '../../access/limits.ts'
import type { KeyRecords } from '../../jobs/keys/key-records.ts'
import type { KeyRecord } from '../../jobs/model/key-record.ts'
import { AppError } from '../../lib/errors.ts'
import { isKnownTag } from '../answers/conditional.ts'
import { pageFrom, sendPage } from '../answers/page.ts'
import { placedPage } from '../answers/placed-page.ts'
import { keySettings, type KmsPublicKey } from '../requests/key-settings.ts'
import { lifeOf } from '../requests/look.ts'
import { checkPreconditions } from '../requests/preconditions.ts'
import { deleteKeySchema, getKeySchema, type Key, listKeysSchema, putKeySchema } from '../schemas/key.ts'

export interface KeyRoutesOptions {
  keys: KeyRecords
  kmsPublicKey: KmsPublicKey
  closing: AbortSignal
}

const BY_NAME = { place: ({ name }: KeyRecord) => [name], isId: (text: string) => text !== '' }
const READ = { scope: ['registries:read'] } as const
const ADMIN = { scope: ['registries:admin'] } as const

/** Keys that jobs sign and verify with. */
export const keyRoutes: FastifyPluginAsyncTypebox<KeyRoutesOptions> = async (app, { keys, kmsPublicKey, closing }) => {
  app.get('/v1/keys', { schema: listKeysSchema, config: READ }, async (request, reply) => {
    const page = placedPage(await keys.list(), pageFrom(request.query), BY_NAME)
    return sendPage(reply, request.url, { ...page, items: page.items.map(toldKey) })
  })

  app.get('/v1/keys/:name', { schema: getKeySchema, config: READ }, async (request, reply) => {
    const { name } = request.params
    const record = await keys.get(name)
    if (!record) throw notKept(name)
    const etag = etagOf(record)
    void reply.header('etag', etag).header('cache-control', 'no-cache')
    if (isKnownTag(request.headers['if-none-match'], etag)) return reply.code(304).send(null)
    return reply.send(toldKey(record))
  })

  app.put('/v1/keys/:name', { schema: putKeySchema, config: ADMIN }, async (request, reply) => {
    const { name } = request.params
    requireUnlimited(request.caller, `the key ${name}, which is for all registries`)
    const seen = await keys.get(name)
    checkPreconditions(request.headers, seen && etagOf(seen), `the key ${name}`)
    const signal = lifeOf(request, closing)
    const settings = await keySettings(request.body, { kmsPublicKey, signal })
    const record = await keys.put(name, settings, seen)
    const { kind, fingerprint } = record
    request.log.info(
      { key: name, kind, fingerprint, principal: request.caller.name },
      seen ? 'key replaced' : 'key kept',
    )
    void reply.header('etag', etagOf(record)).header('cache-control', 'no-cache')
    return reply.code(seen ? 200 : 201).send(toldKey(record))
  })

  app.delete('/v1/keys/:name', { schema: deleteKeySchema, config: ADMIN }, async (request, reply) => {
    const { name } = request.params
    requireUnlimited(request.caller, `the key ${name}, which is for all registries`)
    const seen = await keys.get(name)
    if (!seen) throw notKept(name)
    checkPreconditions({ 'if-match': request.headers['if-match'] }, etagOf(seen), `the key ${name}`)
    await keys.remove(name, seen)
    request.log.info({ key: name, principal: request.caller.name }, 'key forgotten')
    return reply.code(204).send(null)
  })
}

function toldKey({ revision: _revision, ...key }: KeyRecord): Key {
  return key
}

function etagOf({ revision }: KeyRecord): string {
  return `"${revision}"`
}

function notKept(name: string): AppError {
  return new AppError('NOT_FOUND', `there is no key "${name}"`, {
    hint: 'GET /v1/keys (layerd keys) lists the keys that are kept.',
  })
}
