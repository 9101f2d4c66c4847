import { type Static, Type } from 'typebox'
import { CATALOGUE_KINDS, CATALOGUE_SOURCES } from '../../../jobs/model/catalogue.ts'
import { Digest, Nullable } from '../package.ts'
import { pageOf, pageQuery } from '../page.ts'

const Kind = Type.Enum(CATALOGUE_KINDS, { description: 'other: an artifact of another type. More may come.' })
const Text = (description?: string) => Nullable(Type.String(description === undefined ? {} : { description }))
const Signed = Nullable(
  Type.Boolean({
    description:
      'It carries a signature, or has one of cosign beside it (a tag .sig): nobody has verified it. null: nothing tells, as of images with signatures elsewhere.',
  }),
)
const Time = Nullable(Type.String({ format: 'date-time' }))
const Size = Nullable(Type.Integer({ minimum: 0, description: 'Bytes of layers and config, each once.' }))

export const CatalogPackage = Type.Object(
  {
    reference: Type.String({ description: 'oci://HOST/NS/NAME:TAG of its latest version.' }),
    registry: Type.String({ description: 'host[:port]' }),
    repository: Type.String(),
    kind: Kind,
    name: Type.String({ description: 'As it calls itself; of what does not, the last part of its repository.' }),
    description: Text(),
    version: Text('The highest, of releases where there are any; null where nothing tells it.'),
    tag: Type.String({ description: 'Of that version.' }),
    digest: Digest('Of what lies under that tag.'),
    size: Size,
    signed: Signed,
    created: Time,
    versions: Type.Array(Type.String(), {
      description: 'The highest first, 50 at most; with newerThan, the newer ones of these.',
    }),
    versionCount: Type.Integer({ minimum: 0 }),
    tagCount: Type.Integer({ minimum: 0 }),
    flavors: Type.Array(Type.String()),
    architectures: Type.Array(Type.String()),
  },
  { $id: 'CatalogPackage', description: 'What a repository holds under one name and of one kind.' },
)
export type CatalogPackage = Static<typeof CatalogPackage>

export const CatalogVersion = Type.Object(
  {
    reference: Type.String({ description: 'oci://HOST/NS/NAME:TAG' }),
    tag: Type.String(),
    digest: Digest('Of what lies under the tag.'),
    kind: Kind,
    name: Type.String(),
    version: Text('As it says itself; of an image its tag, where that begins with a number.'),
    flavor: Text(),
    description: Text(),
    created: Time,
    artifactType: Text('Of an artifact of another type.'),
    signed: Signed,
    architectures: Type.Array(
      Type.Object({
        architecture: Type.String({ description: 'Empty where nothing tells it.' }),
        digest: Digest('Of its manifest.'),
        size: Size,
        signed: Nullable(Type.Boolean({ description: 'It carries a signature; null: it is none that could.' })),
      }),
      { description: '16 at most.' },
    ),
  },
  { $id: 'CatalogVersion', description: 'A tag, as its manifests tell it.' },
)
export type CatalogVersion = Static<typeof CatalogVersion>

const Failure = Type.Object({ code: Type.String(), detail: Type.String(), hint: Text() })
const State = Type.Enum(['waiting', 'refreshing', 'ready', 'failed'], {
  description: 'waiting: never looked at; failed: its repositories could not be listed, see `error`. More may come.',
})

export const CatalogRegistry = Type.Object(
  {
    id: Type.String({ description: 'Its host as one part of a path.' }),
    host: Type.String({ description: 'host[:port]' }),
    source: Type.Enum(CATALOGUE_SOURCES),
    repositories: Nullable(Type.Array(Type.String())),
    refreshSeconds: Type.Integer(),
    updatedAt: Type.String({ format: 'date-time' }),
    state: State,
    repositoryCount: Type.Integer({ minimum: 0 }),
    tagCount: Type.Integer({ minimum: 0 }),
    waiting: Type.Integer({ minimum: 0, description: 'Repositories that are yet to be looked into.' }),
    truncated: Type.Boolean({
      description: 'There is more than is kept (LAYERD_CATALOG_TAGS, and 1,000 tags of a repository).',
    }),
    startedAt: Time,
    refreshedAt: Nullable(Type.String({ format: 'date-time', description: 'When all of it was last looked at.' })),
    nextAt: Nullable(Type.String({ format: 'date-time', description: 'null while it is refreshed.' })),
    error: Nullable(Failure),
    problems: Type.Array(
      Type.Object({ repository: Type.String(), tag: Text(), code: Type.String(), detail: Type.String() }),
      { description: 'What could not be looked into this time; 20 at most.' },
    ),
    problemCount: Type.Integer({ minimum: 0 }),
  },
  { $id: 'CatalogRegistry', description: 'A registry of the catalogue, and how far that is.' },
)
export type CatalogRegistry = Static<typeof CatalogRegistry>

const Brief = Type.Object({
  host: Type.String(),
  state: State,
  refreshedAt: Time,
  error: Nullable(Failure),
})

const versionQuery = {
  name: Type.Optional(Type.String({ minLength: 1, maxLength: 255, description: 'The whole name.' })),
  kind: Type.Optional(Kind),
  architecture: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })),
  flavor: Type.Optional(Type.String({ minLength: 1, maxLength: 128 })),
  newerThan: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 128,
      description: 'What has versions above this one, by SemVer 2.0.0; a v before it is taken, and 1.2 as 1.2.0.',
    }),
  ),
  prereleases: Type.Optional(
    Type.Boolean({
      description:
        'Whether 2.0.0-rc.1 counts as newer than 1.0.0. Default: where newerThan is itself a pre-release, as 1.2.3-uds.0 is.',
    }),
  ),
}

const CatalogQuery = Type.Object(
  {
    ...pageQuery,
    q: Type.Optional(
      Type.String({
        maxLength: 200,
        description: 'Words that all stand in repository, name, kind or description, in whatever case.',
      }),
    ),
    registry: Type.Optional(Type.String({ minLength: 1, maxLength: 300, description: 'host[:port]' })),
    ...versionQuery,
  },
  { additionalProperties: false },
)
const VersionsQuery = Type.Object(
  {
    ...pageQuery,
    ref: Type.String({ minLength: 1, maxLength: 1024, description: 'oci://host[:port]/repository' }),
    ...versionQuery,
  },
  { additionalProperties: false },
)

const tags = ['catalog']
const etag = { 'if-none-match': Type.Optional(Type.String()) }

export const searchCatalogSchema = {
  tags,
  operationId: 'searchCatalog',
  summary: 'What registries hold, as packages, from what layerd keeps of them',
  description:
    'By registry, repository and name; no registry is asked. Needs the scope packages:read; a token sees what lies within its limits. An answer looks at 20,000 repositories at most: a page may be short, or empty, and have a next one.',
  querystring: CatalogQuery,
  headers: Type.Object(etag),
  response: {
    200: pageOf('CatalogPackage', {
      registries: Type.Array(Brief, {
        description: 'Those that were looked through, and why one may be missing things.',
      }),
    }),
    304: Type.Null({ description: 'It still has this ETag.' }),
  },
}

export const listCatalogVersionsSchema = {
  tags,
  operationId: 'listCatalogVersions',
  summary: 'The tags of a repository, the highest version first',
  description: 'Needs the scope packages:read.',
  querystring: VersionsQuery,
  response: { 200: pageOf('CatalogVersion') },
}

export const listCatalogRegistriesSchema = {
  tags,
  operationId: 'listCatalogRegistries',
  summary: 'The registries of the catalogue, and how far it is',
  description: 'Needs the scope registries:read.',
  querystring: Type.Object(pageQuery, { additionalProperties: false }),
  response: { 200: pageOf('CatalogRegistry') },
}

const Params = Type.Object({
  host: Type.String({ minLength: 1, maxLength: 600, description: 'host[:port], or its id.' }),
})
const ofRegistry = { 'application/json': { schema: Type.Ref('CatalogRegistry') } }
const etagHeader = { ETag: { type: 'string', description: 'For If-Match.' } }

const RegistryBody = Type.Object(
  {
    source: Type.Optional(
      Type.Enum(CATALOGUE_SOURCES, {
        default: 'auto',
        description:
          "auto: _catalog, else the own interface of a registry that has one (Harbor); registry: _catalog alone; harbor: Harbor's interface alone; list: nothing is listed, and the repositories are those that are named.",
      }),
    ),
    repositories: Type.Optional(
      Nullable(
        Type.Array(Type.String({ minLength: 1, maxLength: 255 }), {
          minItems: 1,
          maxItems: 1000,
          description:
            'team/nemo, team/* (one component), team/** (all below). Those without * are looked at whether or not the registry lists them. null or left out: all that it lists.',
        }),
      ),
    ),
    refreshSeconds: Type.Optional(
      Type.Integer({
        minimum: 60,
        maximum: 2_592_000,
        default: 3600,
        description: 'From the end of one refresh to the next. What layerd publishes there is looked at at once.',
      }),
    ),
  },
  { additionalProperties: false },
)
export type CatalogRegistryBody = Static<typeof RegistryBody>

export const putCatalogRegistrySchema = {
  tags,
  operationId: 'putCatalogRegistry',
  summary: 'Have a registry in the catalogue',
  description:
    "Needs the scope registries:admin. It is looked at with the daemon's own credentials (PUT /v1/registries/{host}, else Docker's), at LAYERD_CATALOG_REQUESTS requests a second and within what is kept of its limits.",
  params: Params,
  body: RegistryBody,
  headers: Type.Object({
    'if-match': Type.Optional(Type.String({ description: 'Its ETag, or *. Needed where it is there already.' })),
    'if-none-match': Type.Optional(Type.String({ description: '*: only where it is not there yet.' })),
  }),
  response: {
    200: { description: 'It took the place of what was there.', headers: etagHeader, content: ofRegistry },
    201: { description: 'It is there now.', headers: etagHeader, content: ofRegistry },
  },
}

export const getCatalogRegistrySchema = {
  tags,
  operationId: 'getCatalogRegistry',
  summary: 'How far the catalogue of a registry is',
  description: 'Needs the scope registries:read.',
  params: Params,
  response: { 200: { description: 'What is known.', headers: etagHeader, content: ofRegistry } },
}

export const deleteCatalogRegistrySchema = {
  tags,
  operationId: 'deleteCatalogRegistry',
  summary: 'Take a registry out of the catalogue, with all that is known of it',
  description: 'Needs the scope registries:admin. Nothing is deleted in the registry.',
  params: Params,
  headers: Type.Object({ 'if-match': Type.Optional(Type.String()) }),
  response: { 204: Type.Null({ description: 'Gone.' }) },
}

export const refreshCatalogRegistrySchema = {
  tags,
  operationId: 'refreshCatalogRegistry',
  summary: 'Look at a registry again, or at one of its repositories',
  description: 'Needs the scope registries:admin. Is done in the background; one that runs goes on as it is.',
  params: Params,
  body: Type.Unsafe<{ repository?: string } | null>({
    type: ['object', 'null'],
    properties: {
      repository: { type: 'string', minLength: 1, maxLength: 255, description: 'This one alone, before all others.' },
    },
    additionalProperties: false,
  }),
  response: { 202: Type.Ref('CatalogRegistry') },
}
