import { answer } from '../client/calls.ts'
import type { CommandContext } from '../client/context.ts'
import type { ExitCode } from '../client/terminal.ts'
import { formatBytes } from '../view/format.ts'
import { printRows } from './list.ts'
import { registryAuth } from './registry-auth.ts'
import type { LookOptions } from './remote-package.ts'

export interface ReferrersOptions extends LookOptions {
  artifactType?: string
}

/** `layerd referrers REFERENCE`: what refers to it, such as signatures. Throws ApiProblem. */
export async function referrers(
  context: CommandContext,
  reference: string,
  options: ReferrersOptions,
): Promise<ExitCode> {
  const { architecture, artifactType, plainHttp } = options
  const query = {
    ref: reference,
    ...(architecture === undefined ? {} : { architecture }),
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(plainHttp ? { plainHttp } : {}),
  }
  const headers = await registryAuth(context, reference, options)
  const found = await answer(context.client.calls.GET('/v1/remote-packages/referrers', { params: { query }, headers }))
  return printRows(context, found.referrers, {
    heads: ['TYPE', 'SIZE', 'DIGEST'],
    cells: ({ artifactType: type, mediaType, size, digest }) => [type ?? mediaType, formatBytes(size), digest],
  })
}
