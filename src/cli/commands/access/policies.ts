import { jsonObject } from '../../../lib/formats/json-object.ts'
import { answer } from '../../client/calls.ts'
import { type CommandContext, CommandFailure, type OutputOptions } from '../../client/context.ts'
import type { Policy, PolicyBody } from '../../client/contract.ts'
import { refusal } from '../../client/problems.ts'
import { type ExitCode, screenColumns } from '../../client/terminal.ts'
import { textFrom } from '../../client/text-input.ts'
import { fittedTable } from '../../view/format.ts'
import { policyText, wantedText } from '../../view/policy-text.ts'
import { printRows, rowsOf } from '../list.ts'

export interface PutPolicyOptions extends OutputOptions {
  replace?: boolean
}

/** The daemon takes no more than this. */
const MAX_BODY_BYTES = 1024 * 1024
/** On a screen; what a policy is for is the last column, and gets the rest. */
const WIDEST = [24, 24, 12]

/** `layerd policies`: those that are kept, in the order in which they count. Throws ApiProblem. */
export async function policies(context: CommandContext): Promise<ExitCode> {
  const { client, terminal } = context
  const rows = await Array.fromAsync(rowsOf((query) => answer(client.calls.GET('/v1/policies', { params: { query } }))))
  const columns = screenColumns(terminal.stdout)
  return printRows(context, rows, {
    heads: ['POLICY', 'WANTS', 'KINDS', 'MATCH'],
    cells: ({ name, verify, kinds, match }) => [name, wantedText(verify), kinds?.join(',') ?? 'all', match.join(' ')],
    format: (cells) => fittedTable(cells, { columns, widest: WIDEST }),
  })
}

/** `layerd policies show NAME`. Throws ApiProblem. */
export async function showPolicy({ client, terminal, json }: CommandContext, name: string): Promise<ExitCode> {
  const policy = await answer(client.calls.GET('/v1/policies/{name}', { params: { path: { name } } }))
  terminal.stdout.write(json ? `${JSON.stringify(policy)}\n` : policyText(policy))
  return 0
}

/**
 * `layerd policies put NAME FILE`: what `show --json` told may be changed and put back, unless somebody else has changed it since.
 * Throws CommandFailure, ApiProblem.
 */
export async function putPolicy(
  { client, terminal, json, quiet }: CommandContext,
  name: string,
  { file, replace = false }: PutPolicyOptions & { file: string },
): Promise<ExitCode> {
  const given = jsonObject(await textFrom(terminal, file, MAX_BODY_BYTES))
  if (!given)
    throw new CommandFailure(`${file} is no JSON object: a policy is one rule, {"match": [...], "verify": {...}}`)
  const { name: of, updatedAt, ...rule } = given
  const params = { path: { name } }
  const seen = await client.calls.GET('/v1/policies/{name}', { params })
  if (!seen.response.ok && seen.response.status !== 404) throw refusal(seen.response.status, seen.error)
  if (seen.data && !replace) checkReplaced(seen.data, of === name ? updatedAt : undefined)
  const etag = seen.response.headers.get('etag')
  const headers = seen.data && etag !== null ? { 'if-match': etag } : { 'if-none-match': '*' }
  // What is wrong with it the daemon tells best.
  const body = rule as PolicyBody
  const kept = await answer(client.calls.PUT('/v1/policies/{name}', { params, headers, body }))
  if (json) terminal.stdout.write(`${JSON.stringify(kept)}\n`)
  else terminal.stdout.write(quiet ? `${name}\n` : `the policy ${name} is ${seen.data ? 'replaced' : 'kept'}\n`)
  return 0
}

/** `layerd policies rm NAME`. Throws ApiProblem. */
export async function removePolicy({ client, terminal, json, quiet }: CommandContext, name: string): Promise<ExitCode> {
  const headers = { 'if-match': '*' }
  await answer(client.calls.DELETE('/v1/policies/{name}', { params: { path: { name } }, headers }))
  if (json) terminal.stdout.write(`${JSON.stringify({ name })}\n`)
  else terminal.stdout.write(quiet ? `${name}\n` : `the policy ${name} is forgotten\n`)
  return 0
}

/** `from`: when that was written which the file was made from. */
function checkReplaced({ name, updatedAt }: Policy, from: unknown): void {
  if (from === updatedAt) return
  if (from === undefined) {
    throw new CommandFailure(`there is a policy ${name} (of ${updatedAt}): --replace puts this one in its place`)
  }
  throw new CommandFailure(
    `the policy ${name} was changed at ${updatedAt}, and the file has it as it was before: take over what changed (layerd policies show ${name}), or --replace`,
  )
}
