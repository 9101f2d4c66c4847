import type { TokenServer } from '../token-server.ts'
import { type Answer, type RecordedRequest, refusalAnswer } from './exchange.ts'
import type { Rules } from './rules.ts'
import type { AuthWays } from './ways.ts'

export interface AccessOptions {
  readonly ways: AuthWays
  readonly tokens: TokenServer | undefined
  readonly host: string
  readonly rules: Rules
  /** Passwords by user; changeable. */
  readonly users: Record<string, string>
  readonly rights: (user: string | undefined, repository: string, action: string) => boolean
}

export interface Access {
  /** What a request that is not let in is answered with. */
  refuse(record: RecordedRequest): Answer | undefined
  /** The passwords of now have run out; new ones work. */
  expirePasswords(): void
}

interface Need {
  readonly repository: string
  readonly action: string
}

const REPOSITORY = /^\/v2\/(.+?)\/(?:blobs|manifests|tags|referrers)\//

export function repositoryOf(path: string): string | undefined {
  return REPOSITORY.exec(path)?.[1]
}

export function createAccess(options: AccessOptions): Access {
  const { ways, tokens, users, rights, rules } = options
  const spent = new Set<string>()
  let challenges = 0

  const unauthorized = (needs: readonly Need[], error?: string, flipped = false): Answer => {
    challenges += 1
    const told = error === undefined ? '' : `,error="${error}"`
    const words = {
      registry: options.host,
      realm: tokens?.realm ?? '',
      service: ways.service,
      scope: scopeOf(ways, needs, challenges),
    }
    const lines = flipped ? ['Basic realm="harbor"'] : ways.challenge
    const filled = lines.map((line) =>
      Object.entries(words).reduce((text, [name, word]) => text.replaceAll(`<${name}>`, word), line),
    )
    const body = { status: 401, code: 'UNAUTHORIZED', message: 'authentication required' }
    const answer = refusalAnswer(error === undefined ? body : { ...ways.denied, status: 401 })
    return { ...answer, headers: { ...answer.headers, 'www-authenticate': filled.map((line) => line + told) } }
  }

  const denied = (needs: readonly Need[]): Answer => {
    if (ways.denied.status === 401) return unauthorized(needs, ways.deniedError)
    return refusalAnswer(ways.denied)
  }

  const byBasic = (authorization: string, needs: readonly Need[]): Answer | undefined => {
    const pair = Buffer.from(authorization.slice(6), 'base64').toString()
    const user = pair.slice(0, pair.indexOf(':'))
    if (ways.expired && spent.has(pair)) return refusalAnswer(ways.expired)
    if (users[user] === undefined || users[user] !== pair.slice(user.length + 1)) return unauthorized(needs)
    return needs.every(({ repository, action }) => rights(user, repository, action)) ? undefined : denied(needs)
  }

  const byToken = (authorization: string, needs: readonly Need[]): Answer | undefined => {
    if (!tokens?.knows(authorization)) return unauthorized(needs, ways.flips ? undefined : 'invalid_token', ways.flips)
    const lacking = needs.filter(({ repository, action }) => !tokens.allows(authorization, repository, action))
    if (lacking.length === 0) return undefined
    const text = needs.map(({ repository, action }) => `${repository}:${action}`).join(' ')
    rules.uncovered(authorization, text)
    return denied(needs)
  }

  return {
    expirePasswords() {
      for (const [user, password] of Object.entries(users)) spent.add(`${user}:${password}`)
    },
    refuse(record) {
      if (ways.kind === 'none') return undefined
      const { authorization } = record.headers
      const needs = needsOf(ways, record)
      if (/^basic /i.test(authorization ?? '') && (ways.kind === 'basic' || ways.basicToo)) {
        return byBasic(authorization ?? '', needs)
      }
      if (/^bearer /i.test(authorization ?? '') && ways.kind === 'bearer') return byToken(authorization ?? '', needs)
      return unauthorized(needs, undefined, ways.flips && authorization !== undefined)
    },
  }
}

function needsOf(ways: AuthWays, { method, path, query }: RecordedRequest): Need[] {
  const repository = repositoryOf(path)
  if (repository === undefined) return []
  const need = (action: string) => ({ repository, action })
  if (path.endsWith('/tags/list')) return [need(ways.tagsAction)]
  if (method === 'GET' || method === 'HEAD') return [need('pull')]
  if (method === 'DELETE') return [need(/\/blobs\/uploads?\//.test(path) ? ways.cancelAction : ways.deleteAction)]
  const from = query.get('mount') === null ? null : query.get('from')
  return [need('pull'), need('push'), ...(from === null ? [] : [{ repository: from, action: 'pull' }])]
}

/** As it stands behind the service, with its comma. */
function scopeOf(ways: AuthWays, needs: readonly Need[], count: number): string {
  const [first] = needs
  if (first === undefined || ways.scope === 'none') return ''
  if (ways.scope === 'any') return ',scope="*"'
  const actions = needs.filter(({ repository }) => repository === first.repository).map(({ action }) => action)
  const told =
    ways.scope === 'pull' ? ['pull'] : ways.scope === 'alternating' && count % 2 ? actions.toReversed() : actions
  return `,scope="repository:${first.repository}:${told.join(',')}"`
}
