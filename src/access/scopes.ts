import { AppError } from '../lib/errors.ts'
import type { Principal } from './principal.ts'

/** What routes and kinds of jobs ask of tokens; "*" is all of them. Source: api.md "Auth". */
export const SCOPES = [
  'jobs:read',
  'jobs:write',
  'jobs:cancel',
  'packages:read',
  'packages:write',
  'packages:delete',
  'uploads:write',
  'registries:read',
  'registries:admin',
  'policies:admin',
  'tokens:admin',
  'deploy',
  'delete',
  'system:read',
  'system:admin',
  'audit:read',
] as const
export type Scope = (typeof SCOPES)[number]

/** Who has one of these may do what the scope is for. */
const WIDER: Readonly<Partial<Record<Scope, readonly Scope[]>>> = {
  'jobs:read': ['jobs:write'],
  'packages:read': ['packages:write'],
  'registries:read': ['registries:admin'],
  'system:read': ['system:admin'],
}

export function isScope(text: string): text is Scope {
  return (SCOPES as readonly string[]).includes(text)
}

export function hasScope({ scopes }: Pick<Principal, 'scopes'>, scope: Scope): boolean {
  return ['*', scope, ...(WIDER[scope] ?? [])].some((one) => scopes.has(one))
}

/** `wanted`: any of these. Throws SCOPE_MISSING. */
export function requireScope(who: Pick<Principal, 'name' | 'scopes'>, wanted: readonly Scope[]): void {
  if (!wanted.some((scope) => hasScope(who, scope))) throw scopeMissing(who, wanted)
}

export function scopeMissing(who: Pick<Principal, 'name'>, wanted: readonly Scope[]): AppError {
  const [scope = ''] = wanted
  return new AppError('SCOPE_MISSING', `"${who.name}" does not have the scope ${wanted.join(' or ')}`, {
    hint: `Use a token that has ${wanted.join(' or ')} or *. GET /v1/session tells what a token has.`,
    details: { scope },
  })
}

/** A job as it is asked for, or kept. */
interface AskedJob {
  readonly kind: string
  readonly source: string
  readonly destination?: string | null | undefined
  readonly options?: {
    /** Of an artifact. */
    readonly files?: ReadonlyArray<{ readonly source: string }>
    readonly config?: { readonly source: string }
  }
}

/** All that a job of that kind asks for, each a choice. Source: api.md, "scope by kind". */
export function scopesOfJob({ kind, source, destination, options = {} }: AskedJob): ReadonlyArray<readonly Scope[]> {
  const stores = (kind === 'pull' || kind === 'apply') && (destination ?? 'store:') === 'store:'
  const { files = [], config } = options
  const sources = [source, ...[...files, ...(config ? [config] : [])].map((file) => file.source)]
  const read = [...new Set(sources.flatMap(scopesOfSource))]
  return [[scopeOfKind(kind)], ...read, ...(stores ? [['packages:write'] as const] : [])]
}

/** What making a job of that kind asks for, wherever it is from. */
export function scopeOfKind(kind: string): Scope {
  if (kind === 'delete' || kind === 'retention') return 'delete'
  return kind === 'deploy' || kind === 'remove' ? 'deploy' : 'jobs:write'
}

/** What others may have brought: a file of the daemon's own folders is guarded by LAYERD_FILE_ROOTS, a registry by its passwords. */
function scopesOfSource(source: string): ReadonlyArray<readonly Scope[]> {
  if (source.startsWith('upload:')) return [UPLOADS]
  return source.startsWith('store:') ? [PACKAGES] : []
}

const UPLOADS: readonly Scope[] = ['uploads:write']
const PACKAGES: readonly Scope[] = ['packages:read']
