import { open } from 'node:fs/promises'
import { load, YAMLException } from 'js-yaml'
import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { isSameRegistry } from '../content/reference.ts'
import { matchesRepository } from '../content/repository-pattern.ts'
import type { PolicyRecords } from '../jobs/access/policy-records.ts'
import { type PolicyKind, PolicyRule, wrongMatch } from '../jobs/model/policy.ts'
import { AppError, isAppError } from '../lib/errors.ts'
import {
  createVerification,
  type KeyRing,
  readRequest,
  type TrustedRoots,
  type Verification,
} from '../trust/verification.ts'

const Rules = Type.Array(PolicyRule, { maxItems: 1000 })

/** A rule, and what it is called where it is refused by. */
interface Rule extends PolicyRule {
  readonly from: string
}

/** Where a package comes from, or for a publish where it goes. */
export interface PolicyPlace {
  readonly registry: string
  readonly repository: string
}

/** What whoever runs layerd wants of packages, whatever their jobs say. */
export interface Policies {
  /** Whether there may be any rule. Throws CONFIG_INVALID. */
  any(): Promise<boolean>
  /**
   * What the first rule that matches wants; undefined where it wants nothing or none matches. Throws CONFIG_INVALID,
   * KEY_NOT_FOUND, TRUSTED_ROOT_*.
   */
  verification(kind: PolicyKind, place: PolicyPlace): Promise<Verification | undefined>
  /** Whether any rule could match a repository of that registry: what is not known yet may be needed then. Throws CONFIG_INVALID. */
  concern(kind: PolicyKind, registry: string): Promise<boolean>
  /** The same for the packages of one bundle: the rules are read for the first of them. */
  readOnce(): Policies
}

const MAX_BYTES = 1024 * 1024

/** Where rules are; what is left out has none. */
export interface PolicyPlaces {
  /** LAYERD_POLICY_FILE: JSON or YAML. */
  readonly file?: string | undefined
  readonly kept?: Pick<PolicyRecords, 'list'>
}

/**
 * Reads the rules anew for each job, so that a change counts at once: those of the file, then those that are kept, by name. A file
 * that cannot be read fails the job: what nobody can tell is not let pass. `keys`: those that rules name, default none.
 */
export function openPolicies({ file, kept }: PolicyPlaces, trustedRoots: TrustedRoots, keys?: KeyRing): Policies {
  const rules = async () => [
    ...(file === undefined ? [] : await readRules(file)),
    ...((await kept?.list()) ?? []).map((rule): Rule => ({ ...rule, from: `/v1/policies/${rule.name}` })),
  ]
  return policiesOf(rules, { always: file !== undefined, trustedRoots, keys })
}

function policiesOf(
  rules: () => Promise<readonly Rule[]>,
  options: { always: boolean; trustedRoots: TrustedRoots; keys: KeyRing | undefined },
): Policies {
  const { always, trustedRoots, keys } = options
  return {
    any: async () => always || (await rules()).length > 0,
    readOnce() {
      let read: Promise<readonly Rule[]> | undefined
      return policiesOf(() => (read ??= rules()), options)
    },
    async verification(kind, place) {
      const rule = (await rules()).find(
        (each) => covers(each, kind) && each.match.some((entry) => matches(entry, place)),
      )
      const verification = await createVerification(rule?.verify, trustedRoots, keys)
      return rule && verification && demanding(verification, rule, place)
    },
    async concern(kind, registry) {
      return (await rules()).some((each) => covers(each, kind) && each.match.some((entry) => isOf(entry, registry)))
    },
  }
}

/** Both have to hold; what the second says is told. */
export function bothHold(first: Verification | undefined, second: Verification | undefined): Verification | undefined {
  if (!first || !second) return first ?? second
  return {
    check(files, what) {
      first.check(files, what)
      return second.check(files, what)
    },
  }
}

function covers({ kinds }: Rule, kind: PolicyKind): boolean {
  return kinds?.includes(kind) ?? true
}

function matches(entry: string, { registry, repository }: PolicyPlace): boolean {
  return isOf(entry, registry) && matchesRepository(entry.slice(entry.indexOf('/') + 1), repository)
}

/** `*` stands for any registry. A job may write one in another way than the rule, and is held to it all the same. */
function isOf(entry: string, registry: string): boolean {
  const host = entry.slice(0, entry.indexOf('/'))
  return host === '*' || isSameRegistry(host, registry)
}

function demanding(
  verification: Verification,
  { match, from }: Rule,
  { registry, repository }: PolicyPlace,
): Verification {
  return {
    check(files, what) {
      try {
        return verification.check(files, what)
      } catch (error) {
        if (!isAppError(error) || !error.code.startsWith('SIGNATURE_')) throw error
        throw new AppError('POLICY_VIOLATED', `the policy for ${match.slice(0, 3).join(', ')}: ${error.message}`, {
          details: { ...error.details, match, policy: from, place: `${registry}/${repository}`, reason: error.code },
          hint: `Whoever runs layerd decides what packages have to be signed by, here by a rule of ${from}.`,
          cause: error,
        })
      }
    },
  }
}

async function readRules(file: string): Promise<Rule[]> {
  const rules = parse(await readFile(file), file)
  const [error] = Value.Errors(Rules, rules)
  if (error)
    throw invalid(file, `${error.instancePath || '/'} ${error.message.replace('schema is false', 'is unknown here')}`)
  const read = rules as PolicyRule[]
  for (const [at, { match, verify }] of read.entries()) {
    const wrong = wrongMatch({ match })
    if (wrong !== undefined)
      throw invalid(file, `/${at}/match: "${wrong}" is not registry/repository, such as ghcr.io/team/**`)
    try {
      readRequest(verify ?? {})
    } catch (cause) {
      throw invalid(file, `/${at}/verify: ${isAppError(cause) ? cause.message : 'cannot be read'}`, cause)
    }
  }
  return read.map((rule) => ({ ...rule, from: 'LAYERD_POLICY_FILE' }))
}

function parse(text: string, file: string): unknown {
  try {
    return load(text)
  } catch (cause) {
    throw invalid(
      file,
      cause instanceof YAMLException ? `line ${(cause.mark?.line ?? 0) + 1} is not YAML` : 'is not YAML',
      cause,
    )
  }
}

async function readFile(file: string): Promise<string> {
  try {
    await using handle = await open(file, 'r')
    const { size } = await handle.stat()
    if (size > MAX_BYTES) throw invalid(file, `has more than ${MAX_BYTES} bytes`)
    return await handle.readFile('utf8')
  } catch (error) {
    if (isAppError(error)) throw error
    throw invalid(file, `cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown reason'})`, error)
  }
}

function invalid(file: string, why: string, cause?: unknown): AppError {
  return new AppError('CONFIG_INVALID', `LAYERD_POLICY_FILE: ${file}: ${why}`, {
    hint: 'It is a list of {match: [...], verify: {...}, kinds: [...]}; until it is mended no pull, copy or publish is run here.',
    ...(cause === undefined ? {} : { cause }),
  })
}
