import { type Static, Type } from 'typebox'
import { isPlacePattern } from '../../content/repository-pattern.ts'
import { JobOptions } from './job-options.ts'
import { KEY_NAME } from './key-record.ts'

const POLICY_KINDS = ['pull', 'copy', 'publish', 'deploy'] as const
export type PolicyKind = (typeof POLICY_KINDS)[number]

/** What packages have to be signed by, by where they come from or go to. Source: api.md "policy". */
export const PolicyRule = Type.Object(
  {
    match: Type.Array(Type.String({ minLength: 1, maxLength: 512 }), {
      minItems: 1,
      maxItems: 100,
      description:
        'registry/repository: the registry as references write it or * for any, the repository component by component, * one, ** at the end all that follow.',
    }),
    verify: JobOptions.properties.verify,
    kinds: Type.Optional(
      Type.Array(Type.Enum([...POLICY_KINDS]), {
        minItems: 1,
        maxItems: POLICY_KINDS.length,
        description: 'Kinds of jobs that it holds for; all unless given.',
      }),
    ),
  },
  { additionalProperties: false, required: ['match', 'verify'] },
)
export type PolicyRule = Static<typeof PolicyRule>

/** A rule that is kept. */
export interface PolicyRecord extends PolicyRule {
  readonly name: string
  /** RFC 3339. */
  readonly updatedAt: string
  /** Another one with each write. */
  readonly revision: string
}

/** Part of an address. */
export const POLICY_NAME = KEY_NAME

/** The first entry of `match` that is not registry/repository. */
export function wrongMatch({ match }: Pick<PolicyRule, 'match'>): string | undefined {
  return match.find((entry) => !isPlacePattern(entry))
}
