import { type Static, Type } from 'typebox'
import { AwsCredentials, AzureCredentials, GoogleCredentials } from './cloud-credentials.ts'
import { credentialsHeader } from './job.ts'
import type { RegistryProfile } from './registry-profile.ts'
import { pageOf, pageQuery } from './page.ts'
import { givenWay, mirror, type RegistryWayBody, shownWay } from './registry-way.ts'

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
    profile: Type.String({
      description: 'What layerd takes it for (RegistryProfile); unknown: it goes by what it does.',
    }),
    checks: Type.Array(RegistryCheck, { description: 'In the order in which they were made.' }),
  },
  { $id: 'RegistryPing', description: 'What was found out about a registry.' },
)
export type RegistryPing = Static<typeof RegistryPing>

const RegistryParams = Type.Object({
  host: Type.String({
    minLength: 1,
    maxLength: 600,
    description:
      'host[:port] or, for credentials, host[:port]/path; as its id, or percent-encoded where nothing in between decodes that.',
  }),
})

/** What a registry is asked for at most; the ranges are told by registrySettings, each with its unit. */
const Limit = (description: string) => Type.Union([Type.Number(), Type.Null()], { description })

const RegistryLimits = Type.Object({
  jobs: Limit('Jobs that run at once; null: LAYERD_REGISTRY_JOBS.'),
  concurrency: Limit('Bodies of blobs on their way at once, up and down.'),
  requestsPerSecond: Limit('Requests a second, of all kinds.'),
  bytesPerSecond: Limit('Bytes a second of bodies of blobs, up and down together.'),
})

export const Registry = Type.Object(
  {
    id: Type.String({
      description:
        'Its place as one part of a path, with ~ for each of / [ ]: [::1]:5000 is ~::1~:5000. Goes through every proxy.',
    }),
    path: Type.Union([Type.String(), Type.Null()], {
      description:
        'Whose repositories the credentials are for, which is all that is kept for a path; null: the registry.',
    }),
    host: Type.String({ description: 'host[:port]; docker.io for all names of Docker Hub.' }),
    plainHttp: Type.Boolean({ description: 'It may be spoken to over plain HTTP, where it speaks no TLS.' }),
    repositories: Type.Union([Type.Array(Type.String()), Type.Null()], {
      description: 'Which repositories the credentials are for; null: all.',
    }),
    credentials: Type.Union(
      [
        Type.Object({
          kind: Type.Enum(['basic', 'identity', 'registry', 'aws', 'google', 'azure']),
          username: Type.Union([Type.String(), Type.Null()], {
            description: 'Of a cloud the id of its key, account or application; null where there is none.',
          }),
          roleArn: Type.Optional(Type.String({ description: 'The role of AWS that is assumed.' })),
          metadata: Type.Optional(Type.Boolean({ description: 'Metadata addresses of AWS are asked for its keys.' })),
        }),
        Type.Null(),
      ],
      { description: 'What may be told of them: passwords and tokens are written and never read.' },
    ),
    ...shownWay,
    limits: Type.Union([RegistryLimits, Type.Null()], {
      description: 'What all processes of layerd together ask of it at most; null: as much as it takes.',
    }),
    updatedAt: Type.String({ format: 'date-time' }),
    profile: Type.Unsafe<RegistryProfile>(Type.Ref('RegistryProfile')),
  },
  { $id: 'Registry', description: 'What is kept of a registry, for all jobs.' },
)
export type Registry = Static<typeof Registry>

const Secret = (description: string) => Type.Optional(Type.String({ minLength: 1, maxLength: 16_384, description }))

const Credentials = Type.Object(
  {
    username: Type.Optional(Type.String({ minLength: 1, maxLength: 1024 })),
    password: Secret('With a username.'),
    identityToken: Secret('A refresh token, for token services.'),
    registryToken: Secret('Shown as it is.'),
    aws: Type.Optional(AwsCredentials),
    google: Type.Optional(GoogleCredentials),
    azure: Type.Optional(AzureCredentials),
  },
  { additionalProperties: false },
)

const Limits = Type.Partial(RegistryLimits, { additionalProperties: false })

const RegistryBody = Type.Object(
  {
    credentials: Type.Optional(
      Type.Unsafe<Static<typeof Credentials> | null>({
        ...Credentials,
        type: ['object', 'null'],
        description:
          'One kind of them; null: none. Left out: those that are kept stay, unless the way changes: plainHttp, ca, proxy or mirror.',
      }),
    ),
    plainHttp: Type.Optional(Type.Boolean({ default: false })),
    ...givenWay,
    mirror,
    limits: Type.Optional(
      Type.Unsafe<Static<typeof Limits> | null>({
        ...Limits,
        type: ['object', 'null'],
        description:
          'What all processes of layerd together ask of it at most: jobs from 1 to 1024 (null or left out: LAYERD_REGISTRY_JOBS), concurrency from 1 to 64, requestsPerSecond from 0.01 to 100,000, bytesPerSecond from 65,536. What is null or left out has no limit. Jobs that run obey a change within a second or at their next request; jobs counts for those that have still to begin, at once.',
      }),
    ),
    repositories: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 255 }), {
        minItems: 1,
        maxItems: 100,
        description:
          'Which repositories the credentials are for: team/nemo, team/* (one component), team/** (all below). Default: all, of a path those that begin with it.',
      }),
    ),
  },
  { additionalProperties: false },
)
export type RegistryBody = Static<typeof RegistryBody>

const etagHeader = {
  ETag: { type: 'string', description: 'For If-Match, which minds what is kept and not what was learnt since.' },
}
const conditions = {
  'if-match': Type.Optional(Type.String({ description: 'Its ETag. Needed where it is kept already.' })),
  'if-none-match': Type.Optional(Type.String({ description: '*: only where nothing is kept yet.' })),
}

export const listRegistriesSchema = {
  tags: ['registries'],
  operationId: 'listRegistries',
  summary: 'The registries that something is kept of, by name',
  description: 'Needs the scope registries:read.',
  querystring: Type.Object(pageQuery, { additionalProperties: false }),
  response: { 200: pageOf('Registry') },
}

export const getRegistrySchema = {
  tags: ['registries'],
  operationId: 'getRegistry',
  summary: 'What is kept of a registry',
  description: 'Needs the scope registries:read.',
  params: RegistryParams,
  headers: Type.Object({ 'if-none-match': Type.Optional(Type.String()) }),
  response: {
    200: { description: 'What is kept.', headers: etagHeader, content: jsonOf('Registry') },
    304: Type.Null({ description: 'It still has this ETag.' }),
  },
}

export const putRegistrySchema = {
  tags: ['registries'],
  operationId: 'putRegistry',
  summary: 'Keep credentials of a registry, and how it is spoken to',
  description:
    'Needs the scope registries:admin. Holds for every job that is started from then on. Of host/path credentials and repositories alone: the longest path that begins a repository wins, then the host. A registry that is kept may be in a private network or on this machine.',
  params: RegistryParams,
  body: RegistryBody,
  headers: Type.Object(conditions),
  response: {
    200: { description: 'It took the place of what was kept.', headers: etagHeader, content: jsonOf('Registry') },
    201: { description: 'Kept for the first time.', headers: etagHeader, content: jsonOf('Registry') },
  },
}

export const deleteRegistrySchema = {
  tags: ['registries'],
  operationId: 'deleteRegistry',
  summary: 'Forget what is kept of a registry, its credentials and what was learnt of it',
  description: 'Needs the scope registries:admin.',
  params: RegistryParams,
  headers: Type.Object({ 'if-match': conditions['if-match'] }),
  response: { 204: Type.Null({ description: 'Gone.' }) },
}

function jsonOf(schema: string) {
  return { 'application/json': { schema: Type.Ref(schema) } }
}

interface PingOptions extends RegistryWayBody {
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
    ...givenWay,
  },
  additionalProperties: false,
})

export const pingRegistrySchema = {
  tags: ['registries'],
  operationId: 'pingRegistry',
  summary: 'Find out what is wrong with a registry, from its name to the right to push',
  description:
    'Needs the scope registries:admin. Answers 200 whatever was found, within 30 s. Credentials as a job of this caller would have them. With ca or clientCertificate it is reached by what the body says alone, with none but X-Registry-Auth.',
  params: RegistryParams,
  body: PingBody,
  headers: Type.Object({ 'x-registry-auth': credentialsHeader }),
  response: { 200: Type.Ref('RegistryPing') },
}
