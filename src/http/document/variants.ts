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

/** What an event of each type has beside its base. Source: api.md "Events". */
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

/** JobEvent as one of its types, each with what it has, for generators: a union that `type` tells apart. */
export function withEventVariants(schemas: Schemas): Schemas {
  const { JobEvent: event } = schemas
  if (!event?.properties) return schemas
  const own = new Set(Object.values(EVENT_MEMBERS).flat())
  const base = Object.entries(event.properties).filter(([name]) => !own.has(name))
  const required = (event.required ?? []).filter((name) => !own.has(name))
  const variants = Object.entries(EVENT_MEMBERS).map(([type, members]): [string, Schema] => [
    `${capital(type)}Event`,
    {
      type: 'object',
      required: [...required, ...members],
      properties: {
        ...Object.fromEntries(base),
        type: { type: 'string', const: type },
        ...Object.fromEntries(members.map((name) => [name, event.properties?.[name] ?? {}])),
      },
    },
  ])
  const union = unionOf(variants, 'type', Object.keys(EVENT_MEMBERS))
  return { ...schemas, ...Object.fromEntries(variants), JobEvent: { description: String(event.description), ...union } }
}

/** The body of POST /v1/jobs as one of its kinds, each with the options it takes. */
export function jobRequestVariants(
  body: Schema,
  options: Readonly<Partial<Record<JobKind, ReadonlyArray<keyof JobOptions>>>>,
): { schema: Schema; variants: Schemas } {
  const { kind: _kind, options: all, ...shared } = body.properties ?? {}
  const variants: Array<[string, Schema]> = []
  const optionSchemas: Array<[string, Schema]> = []
  for (const [kind, names] of Object.entries(options)) {
    const properties = Object.fromEntries(names.map((name) => [name, all?.properties?.[name] ?? {}]))
    const optionsName = `${capital(kind)}Options`
    optionSchemas.push([optionsName, { type: 'object', additionalProperties: false, properties }])
    variants.push([
      `${capital(kind)}Request`,
      {
        type: 'object',
        additionalProperties: false,
        required: ['kind', 'source', ...(kind === 'pull' || kind === 'verify' ? [] : ['destination'])],
        properties: {
          kind: { type: 'string', const: kind },
          ...shared,
          options: { $ref: `#/components/schemas/${optionsName}` },
        },
      },
    ])
  }
  const union = unionOf(variants, 'kind', Object.keys(options))
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
