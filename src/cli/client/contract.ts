import type { components, paths } from '../../../clients/typescript/src/schema.d.ts'

/** Each operation, as openapi.yaml has it. */
export type Contract = paths

type Schemas = components['schemas']

type RegistryBody = NonNullable<Contract['/v1/registries/{host}']['put']['requestBody']>['content']['application/json']
export type KeptCredentials = NonNullable<RegistryBody['credentials']>

export type AuditEntry = Schemas['AuditEntry']
export type Bundle = Schemas['Bundle']
export type CatalogPackage = Schemas['CatalogPackage']
export type CatalogRegistry = Schemas['CatalogRegistry']
export type FleetEvent = Schemas['FleetEvent']
export type Har = Schemas['Har']
export type HarEntry = Har['log']['entries'][number]
export type InspectedPackage = Schemas['InspectedPackage']
export type PackageChanges = Schemas['PackageChanges']
export type Job = Schemas['Job']
export type JobEvent = Schemas['JobEvent']
export type JobRequest = Schemas['JobRequest']
/** By the part of the address that asks for it. */
export interface PackageViews {
  digest: Schemas['PackageDigest']
  files: Schemas['PackageFiles']
  components: Schemas['PackageComponents']
  images: Schemas['PackageImages']
  sizes: Schemas['PackageSizes']
  variables: Schemas['PackageVariables']
  values: Schemas['PackageValues']
  documentation: Schemas['PackageDocumentation']
  sboms: Schemas['PackageSboms']
  signatures: Schemas['PackageSignatures']
}
export type Key = Schemas['Key']
export type KeyBody = NonNullable<Contract['/v1/keys/{name}']['put']['requestBody']>['content']['application/json']
export type LocalFile = Schemas['LocalFile']
export type Policy = Schemas['Policy']
export type PolicyBody = NonNullable<
  Contract['/v1/policies/{name}']['put']['requestBody']
>['content']['application/json']
export type Queue = Schemas['Queue']
export type Token = Schemas['Token']
export type TokenBody = Contract['/v1/tokens']['post']['requestBody']['content']['application/json']
export type IssuedToken = Contract['/v1/tokens']['post']['responses'][201]['content']['application/json']
export type Problem = Schemas['Problem']
export type Progress = Schemas['Progress']
export type Registry = Schemas['Registry']
export type RegistryPing = Schemas['RegistryPing']
export type RemotePackage = Schemas['RemotePackage']
export type RemoteRepository = Schemas['RemoteRepository']
export type Signature = Schemas['Signature']
export type Setting = Schemas['Setting']
export type Stats = Schemas['Stats']
export type System = Schemas['System']
export type StoredPackage = Schemas['StoredPackage']
export type Transfer = Schemas['Transfer']
export type JobRun = Schemas['JobRun']
export type JobRuns = Contract['/v1/jobs/{id}/runs']['get']['responses'][200]['content']['application/json']
export type Upload = Schemas['Upload']
export type Worker = Schemas['Worker']
