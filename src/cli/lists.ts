import type { StoredPackage } from '../http/schemas/package.ts'
import type { Job } from '../http/schemas/types.ts'
import { flag, textOptions } from './arguments.ts'
import type { CommandContext } from './context.ts'
import { formatBytes, formatTable } from './format.ts'
import { registryAuth } from './registry-auth.ts'
import { lookAt } from './remote-package.ts'
import type { ExitCode } from './terminal.ts'

interface ListPage<T> {
  items: T[]
  nextPageToken?: string
}

export async function jobs(context: CommandContext): Promise<ExitCode> {
  const states = textOptions(context.invocation, 'state').map((state) => `state=${encodeURIComponent(state)}`)
  const rows = await all<Job>(context, `/v1/jobs?pageSize=200${states.map((state) => `&${state}`).join('')}`)
  return print(context, rows, (job) => [job.id, job.kind, job.state, job.createdAt, job.destination ?? job.source], [
    'ID',
    'KIND',
    'STATE',
    'CREATED',
    'WHERE',
  ])
}

export async function packages(context: CommandContext): Promise<ExitCode> {
  const rows = await all<StoredPackage>(context, '/v1/packages?pageSize=200')
  return print(
    context,
    rows,
    (row) => [row.name, row.version ?? '', row.flavor ?? '', row.architecture, formatBytes(row.size), row.digest],
    ['NAME', 'VERSION', 'FLAVOR', 'ARCH', 'SIZE', 'DIGEST'],
  )
}

export async function inspect(context: CommandContext): Promise<ExitCode> {
  const { invocation, terminal } = context
  const [reference = ''] = invocation.positionals
  const found = await lookAt(context, reference, await registryAuth(context, reference))
  if (flag(invocation, 'json')) {
    terminal.stdout.write(`${JSON.stringify(found)}\n`)
    return 0
  }
  terminal.stdout.write(
    formatTable([
      ['reference', found.reference],
      ['digest', found.digest],
      ['name', found.name],
      ['version', found.version ?? ''],
      ['architecture', `${found.architecture} (of ${found.architectures.join(', ')})`],
      ['size', `${formatBytes(found.size)} in ${found.layers.length} layers`],
      ['signed', found.signed ? 'yes' : 'no'],
      ['tags', found.tags?.join(', ') ?? 'not listed by the registry'],
    ]),
  )
  const rows = found.components.map((component) => [
    component.name,
    component.required ? 'required' : component.default ? 'default' : 'optional',
    `${component.images.length} images`,
  ])
  terminal.stdout.write(`\n${formatTable([['COMPONENT', 'CHOICE', 'IMAGES'], ...rows])}`)
  return 0
}

async function all<T>({ client }: CommandContext, path: string): Promise<T[]> {
  const rows: T[] = []
  let token: string | undefined
  do {
    const page: ListPage<T> = await client.json(
      'GET',
      token === undefined ? path : `${path}&pageToken=${encodeURIComponent(token)}`,
    )
    rows.push(...page.items)
    token = page.nextPageToken
  } while (token !== undefined)
  return rows
}

function print<T>(
  { invocation, terminal }: CommandContext,
  rows: readonly T[],
  cells: (row: T) => string[],
  heads: string[],
): ExitCode {
  if (flag(invocation, 'json')) for (const row of rows) terminal.stdout.write(`${JSON.stringify(row)}\n`)
  else terminal.stdout.write(formatTable(flag(invocation, 'quiet') ? rows.map(cells) : [heads, ...rows.map(cells)]))
  return 0
}
