import type { JobKind } from '../../jobs/model/definitions.ts'
import type { JobOptions } from '../../jobs/model/job-options.ts'

/** A schema as the document has it. */
export interface Schema {
  $ref?: string
  type?: string | string[]
  enum?: unknown[]
  const?: unknown
  description?: string
  required?: string[]
  properties?: Record<string, Schema>
  items?: Schema
  oneOf?: Schema[]
  anyOf?: Schema[]
  discriminator?: { propertyName: string; mapping: Record<string, string> }
  additionalProperties?: boolean | Schema
  examples?: unknown[]
  [more: string]: unknown
}

export type Schemas = Record<string, Schema>

/** What an event of each type has beside its base; with `?` where it may lack. Source: api.md "Events". */
const EVENT_MEMBERS: Readonly<Record<string, readonly string[]>> = {
  snapshot: ['job', 'transfers'],
  state: ['job'],
  plan: ['progress'],
  transfer: ['transfers'],
  progress: ['progress', 'transfers'],
  log: ['level', 'message'],
  warning: ['code', 'message'],
  reset: [],
  ping: [],
  end: ['job'],
}

/** The same of a stream of all jobs. */
const FLEET_MEMBERS: Readonly<Record<string, readonly string[]>> = {
  reset: [],
  snapshot: ['jobs', 'nextPageToken?'],
  queues: ['queues', 'nextPageToken?'],
  workers: ['workers', 'nextPageToken?'],
  created: ['jobId', 'revision', 'matches', 'job'],
  state: ['jobId', 'revision', 'matches', 'job'],
  end: ['jobId', 'revision', 'matches', 'job'],
  removed: ['jobId'],
  progress: ['moved'],
  ping: [],
}

/** Events as one of their types, each with what it has, for generators: unions that `type` tells apart. */
export function withEventVariants(schemas: Schemas): Schemas {
  return unionByType(unionByType(schemas, 'JobEvent', EVENT_MEMBERS), 'FleetEvent', FLEET_MEMBERS)
}

function unionByType(
  schemas: Schemas,
  name: string,
  typeMembers: Readonly<Record<string, readonly string[]>>,
): Schemas {
  const event = schemas[name]
  if (!event?.properties) return schemas
  const prefix = name === 'JobEvent' ? '' : 'Fleet'
  const own = new Set(Object.values(typeMembers).flat().map(plain))
  const base = Object.entries(event.properties).filter(([name]) => !own.has(name))
  const required = (event.required ?? []).filter((name) => !own.has(name))
  const variants = Object.entries(typeMembers).map(([type, members]): [string, Schema] => [
    `${prefix}${capital(type)}Event`,
    {
      type: 'object',
      required: [...required, ...members.filter((name) => plain(name) === name)],
      properties: {
        ...Object.fromEntries(base),
        type: { type: 'string', const: type },
        ...Object.fromEntries(members.map(plain).map((name) => [name, event.properties?.[name] ?? {}])),
      },
    },
  ])
  const union = unionOf(variants, 'type', Object.keys(typeMembers))
  return { ...schemas, ...Object.fromEntries(variants), [name]: { description: String(event.description), ...union } }
}

function plain(member: string): string {
  return member.replace('?', '')
}

interface JobKindShape {
  readonly options: ReadonlyArray<keyof JobOptions>
  readonly needsDestination: boolean
}

/** The body of POST /v1/jobs as one of its kinds, each with the options it takes. */
export function jobRequestVariants(
  body: Schema,
  kinds: Readonly<Partial<Record<JobKind, JobKindShape>>>,
): { schema: Schema; variants: Schemas } {
  const { kind: _kind, options: all, ...shared } = body.properties ?? {}
  const variants: Array<[string, Schema]> = []
  const optionSchemas: Array<[string, Schema]> = []
  for (const [kind, { options: names, needsDestination }] of Object.entries(kinds)) {
    const properties = Object.fromEntries(names.map((name) => [name, all?.properties?.[name] ?? {}]))
    const optionsName = `${capital(kind)}Options`
    optionSchemas.push([optionsName, { type: 'object', additionalProperties: false, properties }])
    variants.push([
      `${capital(kind)}Request`,
      {
        type: 'object',
        additionalProperties: false,
        required: ['kind', 'source', ...(needsDestination ? ['destination'] : [])],
        properties: {
          kind: { type: 'string', const: kind },
          ...shared,
          options: { $ref: `#/components/schemas/${optionsName}` },
        },
      },
    ])
  }
  const union = unionOf(variants, 'kind', Object.keys(kinds))
  return {
    schema: { ...union, ...(body.examples ? { examples: body.examples } : {}) },
    variants: Object.fromEntries([...variants, ...optionSchemas]),
  }
}

function unionOf(variants: ReadonlyArray<[string, Schema]>, propertyName: string, values: readonly string[]): Schema {
  const refs = variants.map(([name]) => `#/components/schemas/${name}`)
  const mapping = Object.fromEntries(values.map((value, at) => [value, refs[at] ?? '']))
  return { oneOf: refs.map(($ref) => ({ $ref })), discriminator: { propertyName, mapping } }
}

function capital(word: string): string {
  return `${word.charAt(0).toUpperCase()}${word.slice(1)}`
}

/** `type: string` beside each list of words: generators make an untyped value of one without. */
export function typedEnums<T>(value: T): T {
  if (Array.isArray(value)) return value.map((one) => typedEnums(one as unknown)) as T
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).map(([name, member]) => [name, typedEnums(member as unknown)] as const)
  const { enum: words, type } = value as { enum?: unknown; type?: unknown }
  const untyped = Array.isArray(words) && type === undefined && words.every((word) => typeof word === 'string')
  return Object.fromEntries([...(untyped ? ([['type', 'string']] as const) : []), ...entries]) as T
}
