import { answer } from '../../client/calls.ts'
import type { CommandContext } from '../../client/context.ts'
import { requireStoredDigest } from '../../client/stored-digest.ts'
import type { ExitCode } from '../../client/terminal.ts'
import { changesText } from '../../view/changes-text.ts'

/** `layerd diff OLD NEW`: what is another between two stored packages. */
export async function diff({ client, terminal, json }: CommandContext, from: string, to: string): Promise<ExitCode> {
  const [since, digest] = [requireStoredDigest(from), requireStoredDigest(to)]
  const params = { path: { digest }, query: { since } }
  const changes = await answer(client.calls.GET('/v1/packages/{digest}/changes', { params }))
  terminal.stdout.write(json ? `${JSON.stringify(changes)}\n` : changesText(changes))
  return 0
}
