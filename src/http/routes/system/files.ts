import { basename, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { Authenticator } from '../../../access/authenticator.ts'
import { requireAnyKind } from '../../../access/limits.ts'
import { createFileListing } from '../../../files/listing/file-listing.ts'
import type { ListedFile } from '../../../files/listing/listed-file.ts'
import { AppError } from '../../../lib/errors.ts'
import { toldByName } from '../../../transfer/inspect/told-by-name.ts'
import { pageFrom, sendPage } from '../../answers/page.ts'
import { LOOK_WITHIN_MS, lookWithin, type Looks } from '../../requests/look.ts'
import { type LocalFile, listFilesSchema } from '../../schemas/system/file.ts'

export interface FileRoutesOptions {
  fileRoots: readonly string[]
  authenticator: Pick<Authenticator, 'required'>
  closing: AbortSignal
  looks: Looks
}

/** Those whose source may be a file of this machine. */
const READ_FILES = ['publish', 'verify'] as const
const USUAL = ['package', 'init', 'bundle', 'split', 'folder'] as const

/** What lies in LAYERD_FILE_ROOTS belongs to nobody: who may make jobs of it sees all of it. */
export const fileRoutes: FastifyPluginAsyncTypebox<FileRoutesOptions> = async (app, options) => {
  const { fileRoots: roots, authenticator, looks, closing } = options
  const listing = createFileListing({ roots, readName: toldByName, fair: authenticator.required })

  app.get('/v1/files', { schema: listFilesSchema, config: { scope: ['jobs:write'] } }, async (request, reply) => {
    const { caller } = request
    requireAnyKind(caller, READ_FILES)
    const { root, q: text, kind = USUAL } = request.query
    const query = { ...pageFrom(request.query), root, text, kinds: new Set(kind) }
    const { items, ...page } = await lookWithin(request, { looks, closing, tooLate }, (signal) =>
      listing.list(query, { by: caller.name, signal }),
    )
    const found = { roots: listing.roots, items: items.map(shown), ...page }
    return sendPage(reply, request.url, found)
  })
}

function shown({ root, path, ...file }: ListedFile): LocalFile {
  const whole = join(root, path)
  return { source: pathToFileURL(whole).href, root, path, name: basename(whole), ...file }
}

function tooLate(): AppError {
  return new AppError('PACKAGE_TIMEOUT', `the file roots were not looked through within ${LOOK_WITHIN_MS / 1000} s`, {
    hint: 'Their file system is slow, or does not answer. Ask for one of them: ?root=/packages.',
  })
}
