import type { components, operations } from '../../../clients/typescript/src/schema.d.ts'

type Schemas = components['schemas']

export type Job = Schemas['Job']
export type Progress = Schemas['Progress']
export type Transfer = Schemas['Transfer']
export type Problem = Schemas['Problem']
export type FleetEvent = Schemas['FleetEvent']
export type JobQuery = NonNullable<operations['listJobs']['parameters']['query']>
export type JobMove = Schemas['JobMove']
export type JobEvent = Schemas['JobEvent']
export type Session = Schemas['Session']
export type Registry = Schemas['Registry']
export type StoredPackage = Schemas['StoredPackage']
export type Worker = Schemas['Worker']
export type Queue = Schemas['Queue']
export type Stats = Schemas['Stats']
export type LocalFile = Schemas['LocalFile']
export type JobRun = Schemas['JobRun']
export type Har = Schemas['Har']
export type RegistryPing = Schemas['RegistryPing']
