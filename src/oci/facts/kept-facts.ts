import type { RegistryFact, RegistryFacts, RegistryFactStore } from '../../content/registry-facts.ts'
import { createLearnedFacts, type LearnedFacts, type ShownKind } from './learned-facts.ts'
import { BY_NAME } from './profiles.ts'

/** What one registry taught, and its way beyond this process. */
export interface KeptFacts {
  readonly learned: LearnedFacts
  /** Takes what other processes learnt, and drops what they found wrong and what has run out. Never throws. */
  refresh(): Promise<void>
  /** Hands on what is new. Nobody waits for that, and it costs nothing where nothing is. */
  share(): void
}

type Check = (value: unknown) => boolean

const yesOrNo: Check = (value) => typeof value === 'boolean'
const positive: Check = (value) => typeof value === 'number' && Number.isFinite(value) && value > 0
const oneOf =
  (...values: readonly unknown[]): Check =>
  (value) =>
    values.includes(value)

type Ways = 'singlePost' | 'anonymousMount' | 'selfMount' | 'severalRanges' | 'artifactManifests'
const WAYS: Readonly<Record<Ways, Check>> = {
  singlePost: yesOrNo,
  anonymousMount: yesOrNo,
  selfMount: yesOrNo,
  severalRanges: yesOrNo,
  artifactManifests: yesOrNo,
}
/** Not the age of the last cut: two at one age are a deadline, and cuts that two processes saw are not two in a row. */
const UPLOADS: Readonly<Record<Exclude<keyof LearnedFacts['uploads'], 'cutAfterMs'>, Check>> = {
  bytesPerSecond: positive,
  cutKeeps: oneOf('bytes', 'parts', 'nothing'),
  deadlineMs: positive,
  parts: oneOf('taken', 'equal', 'refused'),
  whole: oneOf('refused'),
  maxBodyBytes: positive,
  minPartBytes: positive,
  maxPartBytes: positive,
  rangeBias: oneOf(0, 1),
  lastInPut: oneOf(true),
}
const SHOWN: Readonly<Record<keyof ShownKind, Check>> = {
  profile: (value) => typeof value === 'string' && BY_NAME.has(value),
  version: (value) => typeof value === 'string' && /^[\d.]{1,24}$/.test(value),
  refuted: oneOf(true),
}
const CHECKS: Readonly<Record<string, Check>> = { ...WAYS, ...UPLOADS, ...SHOWN }
const NAMES = Object.keys(CHECKS)
/** A speed is news only when it differs by this factor: it moves with each request. */
const TELLING_SPEED = 2

/** Without a store: for this process alone. */
export function createKeptFacts(registry: string, store?: RegistryFactStore): KeptFacts {
  const learned = createLearnedFacts()
  if (!store) return { learned, refresh: async () => undefined, share: () => undefined }
  /** As the store has it. */
  const known = new Map<string, RegistryFact | undefined>()
  /** What the store did not take: news whatever it is by now, also that there is nothing to it any more. */
  const untold = new Set<string>()
  let shares = 0
  /** In which share each was last told. */
  const toldIn = new Map<string, number>()
  /** Ends once nothing is being told. */
  let telling: Promise<void> | undefined

  const news = (): string[] =>
    NAMES.filter((name) => untold.has(name) || isNews(name, valueOf(learned, name), known.get(name)))
  const tell = async (
    changes: Readonly<Record<string, RegistryFact | undefined>>,
    earlier: Promise<void> | undefined,
  ): Promise<void> => {
    const saved = await store.save(registry, changes)
    if (!saved) for (const name of Object.keys(changes)) untold.add(name)
    await earlier
  }
  return {
    learned,
    async refresh() {
      // Whether the store has taken it tells how to read what the store has.
      if (telling) await telling
      const asked = shares
      const facts = await store.load(registry)
      if (!facts) return
      const own = new Set(news())
      for (const name of NAMES) {
        // Told while the answer was on its way, so newer than that.
        if ((toldIn.get(name) ?? 0) > asked) continue
        const value = checked(facts, name)
        known.set(name, value)
        // The speed of this process's own way there is known better than others know it.
        const keeps = own.has(name) || isAsking(learned, name) || (name === 'bytesPerSecond' && name in learned.uploads)
        if (!keeps) put(learned, name, value)
      }
    },
    share() {
      const names = news()
      if (names.length === 0) return
      const changes = Object.fromEntries(names.map((name) => [name, valueOf(learned, name)]))
      shares += 1
      for (const name of names) {
        known.set(name, changes[name])
        toldIn.set(name, shares)
        untold.delete(name)
      }
      telling = tell(changes, telling)
    },
  }
}

function isNews(name: string, value: RegistryFact | undefined, known: RegistryFact | undefined): boolean {
  if (name !== 'bytesPerSecond' || value === undefined || known === undefined) return value !== known
  const factor = Number(value) / Number(known)
  return factor >= TELLING_SPEED || factor <= 1 / TELLING_SPEED
}

function checked(facts: RegistryFacts, name: string): RegistryFact | undefined {
  return CHECKS[name]?.(facts[name]) ? facts[name] : undefined
}

function isAsking(learned: LearnedFacts, name: string): boolean {
  return name in WAYS && learned[name as keyof typeof WAYS] === 'asking'
}

/** Where a fact that was not seen yet is left out. */
function groupOf(learned: LearnedFacts, name: string): Record<string, RegistryFact | undefined> {
  return (name in SHOWN ? learned.shown : learned.uploads) as Record<string, RegistryFact | undefined>
}

function valueOf(learned: LearnedFacts, name: string): RegistryFact | undefined {
  if (!(name in WAYS)) return groupOf(learned, name)[name]
  const value = learned[name as keyof typeof WAYS]
  return value === 'asking' ? undefined : value
}

/** `value` was checked. */
function put(learned: LearnedFacts, name: string, value: RegistryFact | undefined): void {
  if (name in WAYS) Object.assign(learned, { [name]: value })
  else if (value !== undefined) groupOf(learned, name)[name] = value
  else Reflect.deleteProperty(groupOf(learned, name), name)
}

/** What was learnt, of names that are told; nothing where it is not known. */
export function toldFacts(learned: LearnedFacts): RegistryFacts {
  const names = NAMES.filter((name) => !(name in SHOWN))
  const known = names.map((name) => [name, rounded(valueOf(learned, name))] as const)
  return Object.fromEntries(known.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])))
}

function rounded(value: RegistryFact | undefined): RegistryFact | undefined {
  return typeof value === 'number' ? Math.round(value) : value
}
