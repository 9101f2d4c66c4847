import { api, dataOf } from '../../api/client.ts'
import type {
  InspectedPackage,
  PackageDocumentation,
  PackageSboms,
  PackageSignatures,
  PackageSizes,
  PackageVariables,
} from '../../api/types.ts'

/** One package, in the store or in its registry: each part is asked for when somebody wants to see it. Throw Refusal. */
export interface PackageLook {
  overview(): Promise<InspectedPackage>
  sizes(): Promise<PackageSizes>
  variables(): Promise<PackageVariables>
  sboms(): Promise<PackageSboms>
  documentation(): Promise<PackageDocumentation>
  signatures(): Promise<PackageSignatures>
  /** Where one of its files is served. */
  fileAddress(view: 'sboms' | 'documentation', name: string): string
}

export function lookAtStored(digest: string): PackageLook {
  const params = { path: { digest } }
  return {
    overview: () => dataOf(api.GET('/v1/packages/{digest}/overview', { params })),
    sizes: () => dataOf(api.GET('/v1/packages/{digest}/sizes', { params })),
    variables: () => dataOf(api.GET('/v1/packages/{digest}/variables', { params })),
    sboms: () => dataOf(api.GET('/v1/packages/{digest}/sboms', { params })),
    documentation: () => dataOf(api.GET('/v1/packages/{digest}/documentation', { params })),
    signatures: () => dataOf(api.GET('/v1/packages/{digest}/signatures', { params })),
    fileAddress: (view, name) => `/v1/packages/${digest}/${view}/${encodeURIComponent(name)}`,
  }
}

export interface RemoteQuery {
  ref: string
  architecture?: string
  plainHttp?: boolean
}

/** Of our page that shows it. */
export function addressOf(query: RemoteQuery): string {
  return `/packages?${textOf(query)}`
}

function textOf(query: RemoteQuery): string {
  return new URLSearchParams(Object.entries(query).map(([name, value]) => [name, String(value)])).toString()
}

export function lookAtRemote(query: RemoteQuery): PackageLook {
  const params = { query }
  return {
    overview: () => dataOf(api.GET('/v1/remote-packages/overview', { params })),
    sizes: () => dataOf(api.GET('/v1/remote-packages/sizes', { params })),
    variables: () => dataOf(api.GET('/v1/remote-packages/variables', { params })),
    sboms: () => dataOf(api.GET('/v1/remote-packages/sboms', { params })),
    documentation: () => dataOf(api.GET('/v1/remote-packages/documentation', { params })),
    signatures: () => dataOf(api.GET('/v1/remote-packages/signatures', { params })),
    fileAddress: (view, name) => `/v1/remote-packages/${view}/${encodeURIComponent(name)}?${textOf(query)}`,
  }
}
