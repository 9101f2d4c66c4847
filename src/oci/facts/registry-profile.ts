import { toldFacts } from './kept-facts.ts'
import type { LearnedFacts } from './learned-facts.ts'
import { BY_HOST, BY_NAME, type RegistryProfile, UNKNOWN } from './profiles.ts'
import { apiHost } from './registry-name.ts'

export type { RegistryProfile } from './profiles.ts'

/** How it is known what kind a registry is. */
export type KnownBy = 'host name' | 'answers' | 'behaviour'

/** `registry`: host[:port] as a reference names it. Registries that can stand anywhere have none by that. */
export function registryProfile(registry: string): RegistryProfile {
  const host = apiHost(registry.toLowerCase()).replace(/:443$/, '')
  return BY_HOST.find(({ hosts }) => hosts.test(host))?.profile ?? UNKNOWN
}

/** What is gone by at a registry: its name, else what its answers show, unless what it did speaks against that. */
export function profileOf(registry: string, { shown }: Pick<LearnedFacts, 'shown'>): RegistryProfile {
  if (shown.refuted === true) return UNKNOWN
  const named = registryProfile(registry)
  if (named !== UNKNOWN) return named
  return BY_NAME.get(shown.profile ?? '') ?? UNKNOWN
}

export interface KnownProfile {
  readonly name: string
  /** Undefined where nothing is known. */
  readonly by: KnownBy | undefined
  /** What people call it; undefined where that is not known. */
  readonly kind: string | undefined
  /** As it says itself. */
  readonly version: string | undefined
}

/** The same as it is told. What it did names it more closely where it can. */
export function knownProfile(registry: string, learned: LearnedFacts): KnownProfile {
  const profile = profileOf(registry, learned)
  const { shown } = learned
  const version = profile.guessed ? shown.version : undefined
  const found = (name: string, by: KnownBy | undefined, kind: string | undefined): KnownProfile => ({
    name,
    by,
    kind,
    version,
  })
  if (profile !== UNKNOWN && !profile.guessed) return found(profile.name, 'host name', profile.kind)
  const done = didAs(profile.name, learned)
  if (done !== undefined) return found(done, 'behaviour', BY_NAME.get(done)?.kind)
  if (profile !== UNKNOWN) return found(profile.name, 'answers', profile.kind)
  return found(UNKNOWN.name, isAnythingLearnt(learned) ? 'behaviour' : undefined, undefined)
}

function didAs(name: string, { uploads }: LearnedFacts): string | undefined {
  if (name === UNKNOWN.name) return uploads.parts === 'equal' ? 'cloudflare' : undefined
  if (name !== 'distribution') return undefined
  if (uploads.cutKeeps === 'bytes') return 'distribution-3'
  return uploads.cutKeeps === 'nothing' ? 'distribution-2' : undefined
}

function isAnythingLearnt(learned: LearnedFacts): boolean {
  return learned.shown.refuted === true || Object.keys(toldFacts(learned)).length > 0
}
