import { type CommandContext, UsageError } from '../../client/context.ts'
import type { InspectedPackage, PackageViews } from '../../client/contract.ts'
import { type ExitCode, screenColumns } from '../../client/terminal.ts'
import {
  componentsText,
  filesText,
  imagesText,
  packageText,
  packedText,
  repositoryText,
  signaturesText,
  sizesText,
  tagsText,
  variablesText,
} from '../../view/package-text.ts'
import { isRepository, lookAt, type LookOptions } from '../remote-package.ts'
import { saveInto, writeBytes, writeText } from './output.ts'
import { isReference, type Place, placeOf } from './place.ts'

export interface InspectOptions extends LookOptions {
  components?: string
  output?: string
}

interface Asked {
  readonly context: CommandContext
  readonly place: Place
  readonly name: string | undefined
  readonly options: InspectOptions
}

/** What of a package is shown; takes a name where files can be named. */
interface Part {
  readonly named?: boolean
  show(asked: Asked): Promise<void>
}

const PARTS: Readonly<Record<string, Part>> = {
  definition: { show: (asked) => showBytes(asked, 'definition', 'application/yaml') },
  components: shown('components', componentsText),
  images: shown('images', imagesText),
  sizes: shown('sizes', sizesText),
  variables: shown('variables', variablesText),
  manifests: packed('manifests'),
  values: packed('values'),
  sbom: files('sboms'),
  docs: files('documentation'),
  signatures: shown('signatures', signaturesText),
  files: shown('files', ({ files: all }) => filesText(all.map(({ title, size }) => ({ name: title, size })))),
  digest: shown('digest', ({ digest }) => `${digest}\n`),
}

/** What `layerd inspect` shows of a package. */
export const INSPECTED_PARTS = Object.keys(PARTS)

/** `layerd inspect WHAT [PART [NAME]]`: a package wherever it lies, part by part, or what a repository holds. */
export async function inspect(
  context: CommandContext,
  what: string,
  { part, name, ...options }: InspectOptions & { part: string | undefined; name: string | undefined },
): Promise<ExitCode> {
  if (part === undefined) return await overview(context, what, options)
  const chosen = PARTS[part]
  if (!chosen) throw new UsageError(`there is no part "${part}": choose from ${INSPECTED_PARTS.join(', ')}`)
  if (name !== undefined && !chosen.named) throw new UsageError(`${part} has no files to be named`)
  await within(context, what, options, (place) => chosen.show({ context, place, name, options }))
  return 0
}

async function overview(context: CommandContext, what: string, options: InspectOptions): Promise<ExitCode> {
  const { output } = options
  if (isReference(what)) {
    // Of a repository the tags alone are asked for, where nothing else is wanted.
    const found = await lookAt(context, what, context.quiet ? { ...options, pageSize: 0 } : options)
    await writeText(context, textOf(context, found, lookText(context)), output)
    return 0
  }
  await within(context, what, options, async (place) => {
    const found = await readJson<InspectedPackage>(context, place, place.url('overview'))
    await writeText(context, textOf(context, found, packageText), output)
  })
  return 0
}

function lookText({ quiet }: CommandContext): (found: Awaited<ReturnType<typeof lookAt>>) => string {
  return (found) => {
    if (!isRepository(found)) return packageText(found)
    return quiet ? tagsText(found) : repositoryText(found)
  }
}

async function within(
  context: CommandContext,
  what: string,
  options: InspectOptions,
  look: (place: Place) => Promise<void>,
): Promise<void> {
  const place = await placeOf(context, what, options)
  try {
    await look(place)
  } finally {
    await place.done()
  }
}

function textOf<T>({ json }: CommandContext, found: T, text: (found: T) => string): string {
  return json ? `${JSON.stringify(found)}\n` : text(found)
}

async function readJson<T>({ client }: CommandContext, { headers }: Place, url: string): Promise<T> {
  const chunks: Buffer[] = []
  const body = await client.open(url, { ...headers, accept: 'application/json' })
  for await (const chunk of body) chunks.push(chunk as Buffer)
  return JSON.parse(Buffer.concat(chunks).toString('utf8')) as T
}

async function showBytes({ context, place, options }: Asked, view: string, accept: string): Promise<void> {
  const wanted = context.json && view === 'definition' ? 'application/json' : accept
  await writeBytes(
    context,
    await context.client.open(place.url(view), { ...place.headers, accept: wanted }),
    options.output,
  )
}

/** A view that is JSON, and for people a table. */
function shown<K extends keyof PackageViews>(
  view: K,
  text: (found: PackageViews[K], columns: number | undefined) => string,
): Part {
  return {
    async show({ context, place, options }) {
      const columns = options.output === undefined ? screenColumns(context.terminal.stdout) : undefined
      const found = await readJson<PackageViews[K]>(context, place, place.url(view))
      await writeText(
        context,
        textOf(context, found, (each) => text(each, columns)),
        options.output,
      )
    },
  }
}

/** Texts of components: all as one stream of YAML, or `COMPONENT/FILE` alone. */
function packed(view: 'manifests' | 'values'): Part {
  return {
    named: true,
    async show({ context, place, name, options }) {
      if (name !== undefined) return await showFile({ context, place, name, options }, view)
      const url = place.url(view, { components: options.components })
      const found = await readJson<Partial<PackageViews['values']>>(context, place, url)
      await writeText(context, textOf(context, found, packedText), options.output)
    },
  }
}

/** Files of a package: the list, one, or with --output all of them in a folder. */
function files(view: 'sboms' | 'documentation'): Part {
  return {
    named: true,
    async show(asked) {
      const { context, place, name, options } = asked
      if (name !== undefined) return await showFile({ ...asked, name }, view)
      const found = await readJson<PackageViews['sboms'] | PackageViews['documentation']>(
        context,
        place,
        place.url(view),
      )
      if (options.output === undefined)
        return await writeText(
          context,
          textOf(context, found, (each) => filesText(each.files)),
          undefined,
        )
      for (const { name: each } of found.files) {
        await saveInto(context, options.output, each, await openFile(asked, `${view}/${encodeURIComponent(each)}`))
      }
    },
  }
}

async function showFile(asked: Asked & { name: string }, view: string): Promise<void> {
  const { context, name, options } = asked
  const path = view === 'manifests' || view === 'values' ? inComponent(name) : encodeURIComponent(name)
  await writeBytes(context, await openFile(asked, `${view}/${path}`), options.output)
}

function inComponent(name: string): string {
  const slash = name.indexOf('/')
  if (slash < 1) throw new UsageError(`name it as COMPONENT/FILE, as it is listed; not "${name}"`)
  return `${encodeURIComponent(name.slice(0, slash))}/${encodeURIComponent(name.slice(slash + 1))}`
}

function openFile({ context, place }: Pick<Asked, 'context' | 'place'>, path: string) {
  return context.client.open(place.url(path), { ...place.headers, accept: '*/*' })
}
