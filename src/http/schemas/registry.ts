import { type Static, Type } from 'typebox'
import { credentialsHeader } from './job.ts'

export const RegistryCheck = Type.Object({
  name: Type.String({
    description:
      'name, outbound, proxy, route, tls, api, kind, clock, limits, login; with a repository pull and push. More may come.',
  }),
  state: Type.Enum(['ok', 'warning', 'failed', 'skipped']),
  detail: Type.String({ description: 'What was found, for people.' }),
  hint: Type.Optional(Type.String({ description: 'What to do about it.' })),
})

export const RegistryPing = Type.Object(
  {
    host: Type.String({ description: 'host[:port]' }),
    ok: Type.Boolean({ description: 'No check failed.' }),
    scheme: Type.Union([Type.Enum(['https', 'http']), Type.Null()], {
      description: 'What was spoken; null where it did not come to that.',
    }),
    profile: Type.String({ description: 'What layerd takes it for by its name; unknown: it goes by what it does.' }),
    checks: Type.Array(RegistryCheck, { description: 'In the order in which they were made.' }),
  },
  { $id: 'RegistryPing', description: 'What was found out about a registry.' },
)
export type RegistryPing = Static<typeof RegistryPing>

const RegistryParams = Type.Object({
  host: Type.String({ minLength: 1, maxLength: 300, description: 'host[:port], percent-encoded.' }),
})

interface PingOptions {
  repository?: string
  plainHttp?: boolean
}

const PingBody = Type.Unsafe<PingOptions | null>({
  type: ['object', 'null'],
  properties: {
    repository: {
      type: 'string',
      minLength: 1,
      maxLength: 255,
      description:
        'Whose rights to pull and to push are looked at. For push an upload session is opened and given up; some registries make the repository by that.',
    },
    plainHttp: { type: 'boolean', description: 'Speak plain HTTP where the registry speaks no TLS.' },
  },
  additionalProperties: false,
})

export const pingRegistrySchema = {
  tags: ['registries'],
  operationId: 'pingRegistry',
  summary: 'Find out what is wrong with a registry, from its name to the right to push',
  description:
    'Needs the scope registries:admin. Answers 200 whatever was found, within 30 s. Credentials as a job of this caller would have them.',
  params: RegistryParams,
  body: PingBody,
  headers: Type.Object({ 'x-registry-auth': credentialsHeader }),
  response: { 200: Type.Ref('RegistryPing') },
}
