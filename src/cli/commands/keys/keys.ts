import { open } from 'node:fs/promises'
import { resolve } from 'node:path'
import { jsonObject } from '../../../lib/formats/json-object.ts'
import { answer } from '../../client/calls.ts'
import { type CommandContext, CommandFailure, type OutputOptions, UsageError } from '../../client/context.ts'
import type { Key, KeyBody } from '../../client/contract.ts'
import { refusal } from '../../client/problems.ts'
import type { ExitCode } from '../../client/terminal.ts'
import { printRows, rowsOf } from '../list.ts'
import { secretFrom } from '../registry-auth.ts'

export interface AddKeyOptions extends OutputOptions {
  passwordStdin?: boolean
  /** A key of AWS KMS, in place of a file. */
  kms?: string
  region?: string
  roleArn?: string
  awsStdin?: boolean
  replace?: boolean
}

/** The daemon takes no more than this. */
const MAX_KEY_BYTES = 32 * 1024

/** `layerd keys`: those that are kept, without a secret. Throws ApiProblem. */
export async function keys(context: CommandContext): Promise<ExitCode> {
  const { calls } = context.client
  const rows = await Array.fromAsync(rowsOf((query) => answer(calls.GET('/v1/keys', { params: { query } }))))
  return printRows(context, rows, {
    heads: ['KEY', 'KIND', 'ALGORITHM', 'FINGERPRINT', 'KEPT'],
    cells: ({ name, kind, algorithm, fingerprint, createdAt }) => [
      name,
      kind,
      algorithm,
      // A screen has 80 columns; --json has all of it.
      `${fingerprint.slice(0, 19)}…`,
      createdAt.slice(0, 10),
    ],
  })
}

/** `layerd keys add NAME FILE`. Throws UsageError, CommandFailure, ApiProblem; no part of the key or its password is told. */
export async function addKey(
  context: CommandContext,
  name: string,
  { file, ...options }: AddKeyOptions & { file: string | undefined },
): Promise<ExitCode> {
  const { client, terminal, json, quiet } = context
  const body = options.kms === undefined ? await fromFile(context, file, options) : await inKms(context, file, options)
  const params = { path: { name } }
  const seen = await client.calls.GET('/v1/keys/{name}', { params })
  if (!seen.response.ok && seen.response.status !== 404) throw refusal(seen.response.status, seen.error)
  if (seen.data && !options.replace) {
    throw new CommandFailure(`there is a key ${name} (${seen.data.fingerprint}): --replace puts this one in its place`)
  }
  const etag = seen.response.headers.get('etag')
  const headers = seen.data && etag !== null ? { 'if-match': etag } : { 'if-none-match': '*' }
  const kept: Key = await answer(client.calls.PUT('/v1/keys/{name}', { params, headers, body }))
  if (json) terminal.stdout.write(`${JSON.stringify(kept)}\n`)
  else terminal.stdout.write(quiet ? `${kept.fingerprint}\n` : keptText(kept))
  return 0
}

function keptText({ name, kind, algorithm, fingerprint, publicKey }: Key): string {
  const does = kind === 'public' ? 'to verify with' : 'to sign and to verify with'
  return `the key ${name} is kept, ${does}: ${algorithm}\n  ${fingerprint}\n${publicKey}`
}

/** `layerd keys rm NAME`. Throws ApiProblem. */
export async function removeKey({ client, terminal, json, quiet }: CommandContext, name: string): Promise<ExitCode> {
  await answer(client.calls.DELETE('/v1/keys/{name}', { params: { path: { name } }, headers: { 'if-match': '*' } }))
  if (json) terminal.stdout.write(`${JSON.stringify({ name })}\n`)
  else terminal.stdout.write(quiet ? `${name}\n` : `the key ${name} is forgotten\n`)
  return 0
}

async function fromFile(
  { terminal }: CommandContext,
  file: string | undefined,
  { passwordStdin, region, roleArn, awsStdin }: AddKeyOptions,
): Promise<KeyBody> {
  if (file === undefined) throw new UsageError('name the file of the key, or --kms KEY')
  if (region !== undefined || roleArn !== undefined || awsStdin) {
    throw new UsageError('--region, --role-arn and --aws-stdin go with --kms')
  }
  const key = await read(resolve(terminal.cwd, file))
  return { key, ...(passwordStdin ? { password: await secretFrom(terminal) } : {}) }
}

async function inKms(
  { terminal }: CommandContext,
  file: string | undefined,
  { kms = '', region, roleArn, awsStdin, passwordStdin }: AddKeyOptions,
): Promise<KeyBody> {
  if (file !== undefined) throw new UsageError('a file and --kms exclude each other')
  if (passwordStdin) throw new UsageError('--password-stdin goes with a file')
  const shown = awsStdin ? jsonObject(await secretFrom(terminal)) : { chain: true }
  if (!shown) throw new UsageError('--aws-stdin reads JSON: {"accessKeyId": "...", "secretAccessKey": "..."}')
  return {
    kms,
    aws: { ...shown, ...(region === undefined ? {} : { region }), ...(roleArn === undefined ? {} : { roleArn }) },
  }
}

async function read(path: string): Promise<string> {
  try {
    await using file = await open(path, 'r')
    const found = await file.stat()
    // What is no file may have no end.
    if (!found.isFile() || found.size > MAX_KEY_BYTES) throw new CommandFailure(`${path} is no file of a key`)
    return await file.readFile('utf8')
  } catch (error) {
    if (error instanceof CommandFailure) throw error
    const { code } = error as NodeJS.ErrnoException
    throw new CommandFailure(`the key ${path} cannot be read (${code ?? 'unknown reason'})`)
  }
}
