import { resolve } from 'node:path'
import type { CommandContext } from '../../client/context.ts'
import { registryAuth } from '../registry-auth.ts'
import type { LookOptions } from '../remote-package.ts'
import { storedDigest } from '../../client/stored-digest.ts'
import { forgetUpload, uploadPackage } from '../upload-package.ts'

/** A package that is looked into: where the API has it. */
export interface Place {
  /** The address of a view. */
  url(view: string, query?: Record<string, string | undefined>): string
  readonly headers: Record<string, string>
  /** What was sent for this look alone goes again. */
  done(): Promise<void>
}

const UPLOADED = /^upload:([0-9a-f-]{36})$/
/** A path, rather than a reference that was written without oci://. */
const FILE = /^(?:file:|[./~])|\.tar(?:\.zst)?(?:\.part[0-9]{3})?$/

/** Whether it can be nothing but a reference to a registry. */
export function isReference(what: string): boolean {
  if (/^oci:\/\//i.test(what)) return true
  return storedDigest(what) === undefined && !UPLOADED.test(what) && !FILE.test(what)
}

/**
 * Where a package is: in its registry, in the store by its digest, in an upload, or in a file that is sent for the look. Throws
 * ApiProblem.
 */
export async function placeOf(context: CommandContext, what: string, options: LookOptions): Promise<Place> {
  if (isReference(what)) return await remotePlace(context, what, options)
  const digest = storedDigest(what)
  if (digest !== undefined) return placeAt(`/v1/packages/${digest}`)
  const upload = UPLOADED.exec(what)?.[1]
  if (upload !== undefined) return placeAt(`/v1/uploads/${upload}/package`)
  const ids = await uploadPackage(context, resolve(context.terminal.cwd, what.replace(/^file:(?:\/\/)?/, '')))
  return {
    ...placeAt(`/v1/uploads/${ids[0]}/package`),
    async done() {
      for (const id of ids) await forgetUpload(context, id)
    },
  }
}

async function remotePlace(context: CommandContext, reference: string, options: LookOptions): Promise<Place> {
  const { architecture, plainHttp } = options
  const asked = { ref: reference, architecture, plainHttp: plainHttp ? 'true' : undefined }
  const headers = await registryAuth(context, reference, options)
  return { ...placeAt('/v1/remote-packages', asked), headers }
}

function placeAt(base: string, always: Record<string, string | undefined> = {}): Place {
  return {
    url(view, query = {}) {
      const given = Object.entries({ ...always, ...query }).filter(
        (pair): pair is [string, string] => pair[1] !== undefined,
      )
      const text = new URLSearchParams(given).toString()
      return `${base}/${view}${text === '' ? '' : `?${text}`}`
    },
    headers: {},
    done: async () => undefined,
  }
}
