import type { Job } from '../http/schemas/types.ts'
import { flag, type Invocation, textOption, textOptions } from './arguments.ts'
import type { ApiClient } from './client.ts'
import { formatBytes, formatTable } from './format.ts'
import type { ExitCode, Terminal } from './terminal.ts'

interface Context {
  invocation: Invocation
  client: ApiClient
  terminal: Terminal
}

interface StoredPackage {
  digest: string
  name: string
  version: string | null
  flavor: string | null
  architecture: string
  size: number
}

interface RemotePackage {
  reference: string
  digest: string
  name: string
  version: string | null
  architecture: string
  architectures: string[]
  tags: string[]
  components: Array<{ name: string; required: boolean; default: boolean; images: string[] }>
  layers: unknown[]
  size: number
  signed: boolean
}

interface ListPage<T> {
  items: T[]
  nextPageToken?: string
}

export async function jobs(context: Context): Promise<ExitCode> {
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

export async function packages(context: Context): Promise<ExitCode> {
  const rows = await all<StoredPackage>(context, '/v1/packages?pageSize=200')
  return print(
    context,
    rows,
    (row) => [row.name, row.version ?? '', row.flavor ?? '', row.architecture, formatBytes(row.size), row.digest],
    ['NAME', 'VERSION', 'FLAVOR', 'ARCH', 'SIZE', 'DIGEST'],
  )
}

export async function inspect(context: Context): Promise<ExitCode> {
  const { invocation, client, terminal } = context
  const architecture = textOption(invocation, 'architecture')
  const query = architecture === undefined ? '' : `&architecture=${encodeURIComponent(architecture)}`
  const found = await client.json<RemotePackage>(
    'GET',
    `/v1/packages?ref=${encodeURIComponent(invocation.positionals[0] ?? '')}${query}`,
  )
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
      ['tags', found.tags.join(', ')],
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

async function all<T>({ client }: Context, path: string): Promise<T[]> {
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
  { invocation, terminal }: Context,
  rows: readonly T[],
  cells: (row: T) => string[],
  heads: string[],
): ExitCode {
  if (flag(invocation, 'json')) for (const row of rows) terminal.stdout.write(`${JSON.stringify(row)}\n`)
  else terminal.stdout.write(formatTable(flag(invocation, 'quiet') ? rows.map(cells) : [heads, ...rows.map(cells)]))
  return 0
}
