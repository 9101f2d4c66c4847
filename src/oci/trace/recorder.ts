import type { WireTrace } from '../../content/wire-request.ts'
import type { Clock } from '../../lib/clock.ts'
import type { CallFacts } from '../errors/errors.ts'
import { repositoriesIn } from '../auth/scope.ts'
import type { Hooks, Outgoing } from '../request/hooks.ts'
import { type Draft, toldRequest } from './told-request.ts'

export interface RecorderOptions {
  trace: WireTrace
  clock: Clock
  /** Of requests that belong to no caller. */
  shared?: boolean
}

/**
 * Tells a trace of each request from its beginning to its end. What costs something, texts that have to be cleared of secrets
 * above all, is done only for requests that somebody wants told.
 */
export function recorder({ trace, clock, shared = false }: RecorderOptions): Hooks {
  const drafts = new WeakMap<CallFacts, Draft>()
  const tries = new WeakMap<object, number>()
  return {
    onRequest(facts, outgoing) {
      const { call } = outgoing
      const sent = (tries.get(call) ?? 0) + 1
      tries.set(call, sent)
      const draft = draftOf(facts, outgoing, { try: sent, shared, begun: clock.now() })
      drafts.set(facts, draft)
      trace.began(draft)
    },
    beforeSend(facts) {
      const draft = drafts.get(facts)
      // A connection that was found closed is not the one that counts.
      if (draft) draft.writtenAt = performance.now()
    },
    onConnection(facts, connection) {
      const draft = drafts.get(facts)
      if (draft) draft.connection = connection
    },
    beforePart(facts, bytes) {
      const draft = drafts.get(facts)
      if (draft) draft.bytes += bytes
    },
    onSent(facts) {
      const draft = drafts.get(facts)
      if (draft) draft.sentAt = performance.now()
    },
    onAnswer(facts, status, { header, at, bytes }) {
      const draft = drafts.get(facts)
      if (!draft) return
      draft.answeredAt = at ?? performance.now()
      draft.status = status
      draft.header = header
      if (bytes !== undefined) draft.read = bytes
    },
    onBody(facts, bytes) {
      const draft = drafts.get(facts)
      // Of an answer that was here at once all was counted, read or not.
      if (draft && draft.endedAt === undefined) draft.read = (draft.read ?? 0) + (bytes ?? 0)
    },
    onEnd(facts, error) {
      const draft = drafts.get(facts)
      if (!draft) return
      drafts.delete(facts)
      draft.endedAt = performance.now()
      if (error !== undefined) draft.error = error
      trace.ended(draft)
    },
  }
}

function draftOf(
  facts: CallFacts,
  { exchange, headers, bytes }: Outgoing,
  more: Pick<Draft, 'try' | 'shared' | 'begun'>,
): Draft {
  const draft: Draft = {
    ...more,
    registry: facts.registry,
    ...(more.shared && facts.scopes ? { repositories: repositoriesIn(facts.scopes) } : {}),
    told: () => toldRequest(draft, performance.now()),
    facts,
    exchange,
    headers,
    begunAt: performance.now(),
    streams: bytes === undefined,
    bytes: bytes ?? 0,
  }
  return draft
}
