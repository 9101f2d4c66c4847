import { parseReference } from '../../../src/content/reference.ts'
import type { RegistryClient } from '../../../src/oci/registry.ts'
import {
  type DeleteDependencies,
  type DeleteRequest,
  deleteReference,
  planDelete,
  type RemovalNotes,
  type RemovalOutcome,
  type RemovedItem,
} from '../../../src/transfer/delete/delete.ts'
import type { EngineEvent } from '../../../src/transfer/events.ts'
import type { Cleanup } from '../cleanup.ts'
import { registryClient } from './publishing.ts'

export interface DeleteFromOptions extends Omit<DeleteRequest, 'reference'> {
  client?: RegistryClient
  dryRun?: boolean
  signal?: AbortSignal
  notes?: RemovalNotes
  checkOwnership?: () => Promise<void>
  lockTag?: DeleteDependencies['lockTag']
  onEvent?: (event: EngineEvent) => void
}

export interface DeletedFrom {
  outcome: RemovalOutcome
  events: EngineEvent[]
  /** What the audit is told of. */
  told: RemovedItem[]
}

/** Deletes as a worker would, without a queue and as the only writer. */
export async function deleteFrom(t: Cleanup, reference: string, options: DeleteFromOptions = {}): Promise<DeletedFrom> {
  const { dryRun = false, ...rest } = options
  const { request, dependencies, events, told } = deleting(t, rest)
  const run = dryRun ? planDelete : deleteReference
  return { outcome: await run({ ...request, reference: parseReference(reference) }, dependencies), events, told }
}

export function deleting<R>(t: Cleanup, options: DeleteFromOptions & R) {
  const { client = registryClient(t), signal = new AbortController().signal, notes, onEvent, ...rest } = options
  const { checkOwnership = async () => undefined, lockTag = (_, task) => task(signal), ...request } = rest
  const events: EngineEvent[] = []
  const told: RemovedItem[] = []
  const dependencies: DeleteDependencies = {
    repository: (registry, name) => client.repository(registry, name),
    checkOwnership,
    lockTag,
    ...(notes ? { notes } : {}),
    onRemoved: (item) => void told.push(item),
    onEvent(event) {
      events.push(event)
      onEvent?.(event)
    },
    signal,
  }
  return { request, dependencies, events, told }
}

/** What a job keeps between its runs, in memory. */
export function memoryNotes(): RemovalNotes & { readonly items: RemovedItem[] } {
  const items: RemovedItem[] = []
  return { items, load: async () => [...items], save: async (more) => void items.push(...more) }
}

/** Removed things, shortly. */
export function goneIn({ removed }: Pick<RemovalOutcome, 'removed'>): string[] {
  return removed.map(({ kind, tag, digest }) => (kind === 'tag' ? `tag ${tag}` : `${kind} ${digest}`)).toSorted()
}
