import { load, YAMLException } from 'js-yaml'
import { type Static, Type } from 'typebox'
import { Value } from 'typebox/value'
import { isPlacePattern } from '../../content/repository-pattern.ts'
import type { Clock } from '../../lib/clock.ts'
import { AppError } from '../../lib/errors.ts'
import type { Logger } from '../../lib/logger.ts'
import { type FollowedFile, followFile } from '../followed-file.ts'
import type { Limits } from '../limits.ts'
import { isScope } from '../scopes.ts'

const Names = Type.Array(Type.String({ minLength: 1, maxLength: 512 }), { minItems: 1, maxItems: 1000 })
const Rule = Type.Object(
  {
    group: Type.String({ minLength: 1, maxLength: 1024 }),
    scopes: Type.Array(Type.String({ maxLength: 100 }), { maxItems: 100 }),
    limits: Type.Optional(
      Type.Object(
        { registries: Type.Optional(Names), repositories: Type.Optional(Names), kinds: Type.Optional(Names) },
        { additionalProperties: false },
      ),
    ),
  },
  { additionalProperties: false, required: ['group', 'scopes'] },
)
const Rules = Type.Array(Rule, { minItems: 1, maxItems: 1000 })

/** What members of a group may. */
export interface GroupRule {
  readonly group: string
  readonly scopes: ReadonlySet<string>
  readonly limits: Limits
}

export interface GroupsFileOptions {
  path: string
  logger: Logger
  clock: Clock
}

/**
 * Follows LAYERD_OIDC_GROUPS_FILE, a JSON or YAML list of {group, scopes, limits}. A rule that is none spoils the file: without it a
 * later one could count for its members, who would get more. Throws CONFIG_INVALID when the first reading fails.
 */
export function followGroupsFile({ path, logger, clock }: GroupsFileOptions): Promise<FollowedFile<GroupRule>> {
  return followFile({
    path,
    what: 'groups file',
    setting: 'LAYERD_OIDC_GROUPS_FILE',
    parse: (text) => ({ entries: parseGroups(path, text), faults: [] }),
    logger,
    clock,
  })
}

/** The first rule that a member of these groups has: scopes of one are never joined to the limits of another. */
export function ruleFor(rules: readonly GroupRule[], groups: readonly string[]): GroupRule | undefined {
  const all = new Set(groups)
  return rules.find(({ group }) => all.has(group))
}

function parseGroups(path: string, text: string): readonly GroupRule[] {
  const rules = parse(path, text)
  const [error] = Value.Errors(Rules, rules)
  if (error) {
    throw invalid(path, `${error.instancePath || '/'} ${error.message.replace('schema is false', 'is unknown here')}`)
  }
  return (rules as Static<typeof Rules>).map(({ group, scopes, limits = {} }, at) => {
    const wrong = scopes.find((scope) => scope !== '*' && !isScope(scope))
    if (wrong !== undefined) throw invalid(path, `/${at}/scopes: there is no scope "${wrong}"`)
    const place = limits.repositories?.find((pattern) => !isPlacePattern(pattern))
    if (place === undefined) return { group, scopes: new Set(scopes), limits }
    throw invalid(path, `/${at}/limits/repositories: "${place}" is not registry/repository, such as ghcr.io/team/**`)
  })
}

function parse(path: string, text: string): unknown {
  try {
    return load(text)
  } catch (cause) {
    const line = cause instanceof YAMLException ? cause.mark?.line : undefined
    throw invalid(path, line === undefined ? 'is not YAML' : `line ${line + 1} is not YAML`, cause)
  }
}

function invalid(path: string, why: string, cause?: unknown): AppError {
  return new AppError('CONFIG_INVALID', `LAYERD_OIDC_GROUPS_FILE: ${path}: ${why}`, {
    hint: 'It is a list of {group: NAME, scopes: [...], limits: {registries, repositories, kinds}}.',
    ...(cause === undefined ? {} : { cause }),
  })
}
