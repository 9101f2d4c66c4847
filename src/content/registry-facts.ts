export type RegistryFact = string | number | boolean

/** What registries were seen to do, by name. Any process may have written it: the reader checks what it takes. */
export type RegistryFacts = Readonly<Record<string, RegistryFact>>

/**
 * Keeps what was learnt of registries beyond the life of a process. Each fact ends some days after it was learnt, so that
 * one which no longer holds is found out. Nothing here throws: who cannot read or write learns for itself.
 */
export interface RegistryFactStore {
  /** Undefined where they cannot be had now. */
  load(registry: string): Promise<RegistryFacts | undefined>
  /** What is new, undefined for what no longer holds; facts that others learnt stay. Whether it was written. */
  save(registry: string, changes: Readonly<Record<string, RegistryFact | undefined>>): Promise<boolean>
}
