import type { RegistryFacts, RegistryFactStore } from '../../content/registry-facts.ts'
import { registryId } from '../../content/reference.ts'
import { createKeptFacts, toldFacts } from './kept-facts.ts'
import { type KnownBy, knownProfile, registryProfile } from './registry-profile.ts'

/** What is known of how a registry wants to be spoken to. */
export interface ProfileReport {
  /** Of the profile that is gone by; unknown: docker's way, and what it was seen to do. */
  readonly name: string
  /** Null where nothing is known. */
  readonly by: KnownBy | null
  readonly kind: string | null
  readonly version: string | null
  /** The profile of its name, else of its answers, where what it did speaks against it. */
  readonly refuted: string | null
  readonly facts: RegistryFacts
}

/** As all processes have seen it. Never throws: without a store to read, nothing was learnt. */
export async function reportProfile(registry: string, store: RegistryFactStore): Promise<ProfileReport> {
  const id = registryId(registry)
  const kept = createKeptFacts(id, store)
  await kept.refresh()
  const { learned } = kept
  const { name, by = null, kind = null, version = null } = knownProfile(id, learned)
  const { profile = null, refuted = false } = learned.shown
  const named = registryProfile(id).name
  const seeming = named === 'unknown' ? profile : named
  return { name, by, kind, version, refuted: refuted ? seeming : null, facts: toldFacts(learned) }
}
