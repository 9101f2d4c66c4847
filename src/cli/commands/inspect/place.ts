import { resolve } from 'node:path'
import { answer } from '../../client/calls.ts'
import type { CommandContext } from '../../client/context.ts'
import { registryAuth } from '../registry-auth.ts'
import type { LookOptions } from '../remote-package.ts'
import { uploadPackage } from '../upload-package.ts'

/** A package that is looked into: where the API has it. */
export interface Place {
  /** The address of a view. */
  url(view: string, query?: Record<string, string | undefined>): string
  readonly headers: Record<string, string>
  /** What was sent for this look alone goes again. */
  done(): Promise<void>
}

const STORED = /^(?:store:)?(sha(?:256:[0-9a-f]{64}|512:[0-9a-f]{128}))$/
const UPLOADED = /^upload:([0-9a-f-]{36})$/
/** A path, rather than a reference that was written without oci://. */
const FILE = /^(?:file:|[./~])|\.tar(?:\.zst)?(?:\.part[0-9]{3})?$/

/** Whether it can be nothing but a reference to a registry. */
export function isReference(what: string): boolean {
  return /^oci:\/\//i.test(what) || ![STORED, UPLOADED, FILE].some((pattern) => pattern.test(what))
}

/**
 * Where a package is: in its registry, in the store by its digest, in an upload, or in a file that is sent for the look. Throws
 * ApiProblem.
 */
export async function placeOf(context: CommandContext, what: string, options: LookOptions): Promise<Place> {
  if (isReference(what)) return await remotePlace(context, what, options)
  const digest = STORED.exec(what)?.[1]
  if (digest !== undefined) return placeAt(`/v1/packages/${digest}`)
  const upload = UPLOADED.exec(what)?.[1]
  if (upload !== undefined) return placeAt(`/v1/uploads/${upload}/package`)
  const ids = await uploadPackage(context, resolve(context.terminal.cwd, what.replace(/^file:(?:\/\/)?/, '')))
  return {
    ...placeAt(`/v1/uploads/${ids[0]}/package`),
    async done() {
      for (const id of ids) {
        const path = { upload: id }
        // What cannot be deleted goes by itself after 24 h.
        await answer(context.client.calls.DELETE('/v1/uploads/{upload}', { params: { path } })).catch(() => undefined)
      }
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
