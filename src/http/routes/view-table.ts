import type { FastifyReply, FastifyRequest } from 'fastify'
import { type TProperties, Type } from 'typebox'
import { extname } from 'node:path'
import {
  checksumsOf,
  componentsOf,
  definitionOf,
  filesOf,
  imagesOf,
  inspectOpened,
  inspectSignatures,
  sizeOf,
  variablesOf,
} from '../../transfer/inspect/facts.ts'
import type { InspectablePackage } from '../../transfer/inspect/inspectable.ts'
import { listedNames } from '../../lib/text.ts'
import { sizesOf } from '../../transfer/inspect/sizes.ts'
import {
  componentFile,
  documentationFile,
  documentationOf,
  type InnerContent,
  packageValues,
  sbomFile,
  sbomsOf,
  textsOf,
} from '../../transfer/inspect/tars.ts'
import { acceptsByName } from '../answers/accept.ts'
import { sendBytes, sendJson, sendJsonWith } from '../answers/made-json.ts'
import type { PackageSignatures } from '../schemas/package.ts'
import {
  ComponentsQuery,
  InnerName,
  type InspectedPackage,
  type PackageComponents,
  type PackageDigest,
  type PackageDocumentation,
  type PackageFiles,
  type PackageImages,
  type PackageManifests,
  type PackageSboms,
  type PackageSizes,
  type PackageValues,
  type PackageVariables,
} from '../schemas/package-views.ts'

/** What a view is asked with. */
export interface ViewQuery {
  components?: readonly string[]
}

/** One view of a package, the same wherever that lies. */
export interface View {
  /** Behind the package's own address. */
  readonly path: string
  /** Of its operationId. */
  readonly name: string
  readonly summary: string
  readonly description?: string
  readonly query?: TProperties
  readonly response: object
  answer(found: InspectablePackage, request: FastifyRequest<{ Querystring: ViewQuery }>, reply: FastifyReply): unknown
}

/** One file out of a package. */
export interface FileView {
  readonly path: string
  readonly name: string
  readonly summary: string
  readonly params: TProperties
  find(found: InspectablePackage, params: Readonly<Record<string, string>>): Promise<InnerContent>
  /** Whether a file is a page that may be looked at, in its sandbox. */
  isPage(fileName: string): boolean
}

const json = (schema: string): object => ({ 200: Type.Ref(schema) })
const never = (): boolean => false

export const VIEWS: readonly View[] = [
  {
    path: 'overview',
    name: 'Overview',
    summary: 'Who it is, and what is in it',
    description: 'What is answered comes from manifest and zarf.yaml alone.',
    response: json('InspectedPackage'),
    async answer(found, _request, reply) {
      const { definition, ...rest } = await inspectOpened(found)
      return sendJsonWith<InspectedPackage>(reply, rest, ['definition', definition])
    },
  },
  {
    path: 'digest',
    name: 'Digest',
    summary: 'The digest of its manifest, as `zarf package inspect digest` prints it',
    response: json('PackageDigest'),
    answer: ({ digest, layers }, _request, reply) =>
      sendJson<PackageDigest>(reply, { digest, layers: layers.layers.length, size: sizeOf(layers) }),
  },
  {
    path: 'definition',
    name: 'Definition',
    summary: 'Its zarf.yaml as it is, or as JSON, by Accept',
    response: {
      200: {
        description: 'The definition.',
        content: {
          'application/yaml': { schema: Type.String() },
          'application/json': { schema: Type.Unknown() },
        },
      },
    },
    async answer(found, request, reply) {
      void reply.header('vary', 'accept')
      const { yaml, definitionJson } = await definitionOf(found)
      if (acceptsByName(request.headers.accept, 'application/json')) {
        return sendBytes(reply, 'application/json', definitionJson)
      }
      return sendBytes(reply, 'application/yaml', yaml)
    },
  },
  {
    path: 'checksums',
    name: 'Checksums',
    summary: 'Its checksums.txt',
    response: { 200: { description: 'The file.', content: { 'text/plain': { schema: Type.String() } } } },
    answer: async (found, _request, reply) => sendBytes(reply, 'text/plain', await checksumsOf(found)),
  },
  {
    path: 'files',
    name: 'Files',
    summary: 'Every file of it, with digest and size',
    response: json('PackageFiles'),
    answer: ({ layers }, _request, reply) => sendJson<PackageFiles>(reply, { files: filesOf(layers) }),
  },
  {
    path: 'components',
    name: 'Components',
    summary: 'Its components',
    response: json('PackageComponents'),
    answer: async (found, _request, reply) => {
      const { definition } = await definitionOf(found)
      return sendJson<PackageComponents>(reply, { components: componentsOf(definition) })
    },
  },
  {
    path: 'images',
    name: 'Images',
    summary: 'The images of its components',
    response: json('PackageImages'),
    answer: async (found, _request, reply) => {
      const { definition } = await definitionOf(found)
      return sendJson<PackageImages>(reply, imagesOf(definition.components))
    },
  },
  {
    path: 'sizes',
    name: 'Sizes',
    summary: 'How large it is, and how much of that each component',
    description: 'Beside zarf.yaml the manifests of its images are read, at most 2,000.',
    response: json('PackageSizes'),
    answer: async (found, _request, reply) => sendJson<PackageSizes>(reply, await sizesOf(found)),
  },
  {
    path: 'variables',
    name: 'Variables',
    summary: 'Its variables and constants',
    response: json('PackageVariables'),
    answer: async (found, _request, reply) => {
      const { definition } = await definitionOf(found)
      return sendJson<PackageVariables>(reply, variablesOf(definition))
    },
  },
  {
    path: 'manifests',
    name: 'Manifests',
    summary: 'Kubernetes manifests of its components as they were packed',
    description: "Nothing is rendered: neither variables nor charts' templates.",
    query: { components: ComponentsQuery },
    response: json('PackageManifests'),
    answer: async (found, request, reply) => {
      const components = await textsOf(found, 'manifests', listedIn(request.query))
      return sendJson<PackageManifests>(reply, { components })
    },
  },
  {
    path: 'values',
    name: 'Values',
    summary: 'Values files of its charts as they were packed, and its own',
    query: { components: ComponentsQuery },
    response: json('PackageValues'),
    answer: async (found, request, reply) => {
      const components = await textsOf(found, 'values', listedIn(request.query))
      return sendJson<PackageValues>(reply, { package: await packageValues(found), components })
    },
  },
  {
    path: 'documentation',
    name: 'Documentation',
    summary: 'The documentation that came with it',
    response: json('PackageDocumentation'),
    answer: async (found, _request, reply) =>
      sendJson<PackageDocumentation>(reply, { files: await documentationOf(found) }),
  },
  {
    path: 'sboms',
    name: 'Sboms',
    summary: 'Its SBOMs, and the pages that show them',
    response: json('PackageSboms'),
    answer: async (found, _request, reply) => sendJson<PackageSboms>(reply, { files: await sbomsOf(found) }),
  },
  {
    path: 'signatures',
    name: 'Signatures',
    summary: 'What it is signed with, unverified',
    response: json('PackageSignatures'),
    answer: async (found, _request, reply) => sendJson<PackageSignatures>(reply, await inspectSignatures(found)),
  },
]

const component = Type.String({ minLength: 1, maxLength: 255 })

export const FILE_VIEWS: readonly FileView[] = [
  {
    path: 'sboms/:name',
    name: 'Sbom',
    summary: 'One SBOM, or a page that shows one, out of its sboms.tar',
    params: { name: InnerName },
    find: (found, { name = '' }) => sbomFile(found, name),
    isPage: (fileName) => fileName.endsWith('.html'),
  },
  {
    path: 'documentation/:name',
    name: 'Document',
    summary: 'One file of its documentation',
    params: { name: InnerName },
    find: (found, { name = '' }) => documentationFile(found, name),
    isPage: never,
  },
  {
    path: 'manifests/:component/:name',
    name: 'Manifest',
    summary: 'One Kubernetes manifest of a component as it was packed',
    params: { component, name: InnerName },
    find: (found, { component: of = '', name = '' }) => componentFile(found, 'manifests', { component: of, name }),
    isPage: never,
  },
  {
    path: 'values/:component/:name',
    name: 'ValuesFile',
    summary: 'One values file of a component as it was packed',
    params: { component, name: InnerName },
    find: (found, { component: of = '', name = '' }) => componentFile(found, 'values', { component: of, name }),
    isPage: never,
  },
]

function listedIn({ components = [] }: ViewQuery): string[] {
  return components.flatMap((names) => listedNames(names))
}

const TYPES: Readonly<Record<string, string>> = {
  '.json': 'application/json',
  '.yaml': 'application/yaml',
  '.yml': 'application/yaml',
  '.md': 'text/markdown; charset=utf-8',
}

/** What is neither shown nor known is bytes. */
export function mediaTypeOf(fileName: string): string {
  return TYPES[extname(fileName).toLowerCase()] ?? 'application/octet-stream'
}
