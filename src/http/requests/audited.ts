import type { FastifyReply, FastifyRequest } from 'fastify'
import type { AuditTarget } from '../../access/audit.ts'
import { redactUrl } from '../../lib/redact.ts'
import { withoutUnseen } from '../../lib/text.ts'

/** Parameters of routes that name things and are no secret; another route says itself what it is about. */
const NAMING = ['id', 'digest', 'host', 'name', 'upload', 'username'] as const
const MOST = 512

/** What a request is about, as far as its address tells. */
export function targetOfPath({ params }: Pick<FastifyRequest, 'params'>): AuditTarget {
  const found = params as Record<string, unknown> | undefined
  return Object.fromEntries(
    NAMING.flatMap((name) => {
      const value = found?.[name]
      return typeof value === 'string' ? [[name, shown(value)] as const] : []
    }),
  )
}

/** Of a job that is asked for; its body may be anything. */
export function targetOfJob({ body }: Pick<FastifyRequest, 'body'>, reply: FastifyReply): AuditTarget {
  const asked = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>
  const named = ['kind', 'source', 'destination'].flatMap((name) => {
    const value = asked[name]
    return typeof value === 'string' ? [[name, placeShown(value)] as const] : []
  })
  return { ...Object.fromEntries(named), ...made('job', reply) }
}

/** Of an upload that is sent: its file's name, and its id once there is one. */
export function targetOfUpload(request: Pick<FastifyRequest, 'params'>, reply: FastifyReply): AuditTarget {
  const { upload: name = '' } = targetOfPath(request)
  return uploadTarget(name, reply)
}

/** The same of one whose name does not stand in its address. */
export function uploadTarget(name: string | undefined, reply: FastifyReply): AuditTarget {
  return { ...(name === undefined ? {} : { name: shown(name) }), ...made('upload', reply) }
}

/** The id of what was made, by its address. */
function made(what: string, reply: FastifyReply): AuditTarget {
  const location = reply.getHeader('location')
  const id = typeof location === 'string' ? location.split('/').at(-1) : undefined
  return id === undefined || id === '' ? {} : { [what]: shown(id) }
}

/** A place without the passwords and signed queries that somebody may have written into it. */
function placeShown(text: string): string {
  const cut = text.slice(0, 4 * MOST)
  if (/^(?:file|upload|store):/.test(cut)) return shown(cut)
  if (/^https?:/i.test(cut)) return shown(redactUrl(cut))
  const plain = cut.split(/[?#]/, 1)[0] ?? ''
  const parts = plain.split('@')
  const digest = parts.length > 1 && /^sha(?:256|512):/i.test(parts.at(-1) ?? '') ? `@${parts.pop()}` : ''
  return shown(`${parts.length > 1 ? '***@' : ''}${parts.at(-1)}${digest}`)
}

function shown(text: string): string {
  const clean = withoutUnseen(text)
  return clean.length > MOST ? `${clean.slice(0, MOST)}…` : clean
}
