import { listedNames, trimEndOf } from '../../../lib/text.ts'
import { answer } from '../../client/calls.ts'
import { type CommandContext, type OutputOptions, UsageError } from '../../client/context.ts'
import { durationMs } from '../../client/duration.ts'
import { requireStoredDigest } from '../../client/stored-digest.ts'
import type { ExitCode } from '../../client/terminal.ts'

export interface LinkOptions extends OutputOptions {
  expires?: string
  components?: string
  images?: string
  metadataOnly?: boolean
}

/** `layerd link DIGEST`: the address alone goes to standard output. Throws UsageError, ApiProblem. */
export async function link(context: CommandContext, text: string, options: LinkOptions): Promise<ExitCode> {
  const { client, terminal, json, quiet } = context
  const digest = requireStoredDigest(text)
  const params = { path: { digest } }
  const made = await answer(client.calls.POST('/v1/packages/{digest}/links', { params, body: bodyOf(options) }))
  // Without LAYERD_PUBLIC_URL the daemon does not know its own address; whoever asked it knows one.
  const url = made.url.startsWith('/') ? trimEndOf(options.url ?? terminal.env.url, '/') + made.url : made.url
  if (json) {
    terminal.stdout.write(`${JSON.stringify({ ...made, url })}\n`)
    return 0
  }
  if (!quiet) terminal.stderr.write(`Whoever has it may fetch the archive, until ${made.expiresAt}.\n`)
  terminal.stdout.write(`${url}\n`)
  return 0
}

function bodyOf({ expires, components, images, metadataOnly }: LinkOptions) {
  return {
    ...(expires === undefined ? {} : { expiresInSeconds: secondsOf(expires) }),
    ...(components === undefined ? {} : { components: listedNames(components) }),
    ...(images === undefined ? {} : { images: listedNames(images) }),
    ...(metadataOnly ? { metadataOnly } : {}),
  }
}

function secondsOf(text: string): number {
  const ms = durationMs(text)
  if (ms !== undefined) return ms / 1000
  throw new UsageError(`--expires takes 90s, 10m or 1h, and not "${text.slice(0, 50)}"`)
}
