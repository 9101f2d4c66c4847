import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { DownloadLinks } from '../../../access/links.ts'
import { parseDigest } from '../../../content/digest.ts'
import { AppError } from '../../../lib/errors.ts'
import type { ContentStore } from '../../../store/content-store.ts'
import { openStoredArchive } from '../../../transfer/bundle/stored.ts'
import { lifeOf } from '../../requests/look.ts'
import { storeSeenBy } from '../../requests/seen.ts'
import { createLinkSchema, DEFAULT_LINK_SECONDS, type PackageLink } from '../../schemas/package.ts'
import { checkChoice } from '../package-files.ts'

export interface LinkRoutesOptions {
  links: Pick<DownloadLinks, 'make'>
  store: ContentStore
  /** AppOptions. */
  publicUrl?: string | undefined
  closing: AbortSignal
}

/** As JSON: of a thousand links of one owner no more than that lies in Redis. */
const MAX_CHOICE_CHARACTERS = 8192

/** Links to stored packages, which need no other credential. */
export const linkRoutes: FastifyPluginAsyncTypebox<LinkRoutesOptions> = async (app, options) => {
  const { links, store, publicUrl, closing } = options
  const config = { scope: ['packages:read'] as const }
  app.post('/v1/packages/:digest/links', { schema: createLinkSchema, config }, async (request, reply) => {
    const { caller } = request
    const { expiresInSeconds: seconds = DEFAULT_LINK_SECONDS, ...choice } = request.body ?? {}
    const digest = parseDigest(request.params.digest)
    checkChoice(choice)
    if (JSON.stringify(choice).length > MAX_CHOICE_CHARACTERS) throw tooLong()
    // What can't be fetched is not linked to.
    await openStoredArchive(storeSeenBy(caller, store), digest, { choice, signal: lifeOf(request, closing) })
    const { secret, expiresAt } = await links.make(caller, { digest, choice }, seconds * 1000)
    request.log.info({ principal: caller.name, package: digest, seconds }, 'download link made')
    const path = `/v1/packages/${digest}/archive?link=${secret}`
    const link: PackageLink = {
      url: publicUrl === undefined ? path : new URL(path, publicUrl).href,
      expiresAt: new Date(expiresAt).toISOString(),
    }
    return reply.code(201).header('cache-control', 'no-store').send(link)
  })
}

function tooLong(): AppError {
  return new AppError('BODY_INVALID', `the choice of a link has at most ${MAX_CHOICE_CHARACTERS} characters`, {
    hint: 'Choose by patterns: "components": ["a*"].',
    details: { pointer: '/components' },
  })
}
