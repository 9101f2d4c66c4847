import type { JobCredentials } from '../jobs/model/requests.ts'
import type { PublishDependencies } from '../transfer/publish/publish.ts'

/** How a run reaches its registries: its own credentials before Docker's, its own upload checkpoints. */
export interface RegistryAccess {
  credentials: JobCredentials | undefined
  plainHttp: boolean
  jobId: string
  epoch: number
  signal: AbortSignal
  /** Throws when the run may send nothing any more. */
  mayUse(): void
}

/** Opens repositories as one run may. */
export type Registries = (access: RegistryAccess) => PublishDependencies['repository']

/** Blobs at once, where the job says nothing. */
export const DEFAULT_CONCURRENCY = 6
