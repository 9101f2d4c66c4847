import type { AppError } from '../../../lib/errors.ts'
import { traitsOf } from '../../auth/traits.ts'
import { type Answer, answerError } from '../../errors/errors.ts'
import type { RegistryResponse } from '../../request/transport.ts'
import { readStart } from '../exchanges/exchange.ts'
import { callFacts, isRegistry, type LocatedPassage, type Passage, type Send } from './passage.ts'

/** Statuses handed back rather than thrown: what they mean depends on the call. */
const HANDED_BACK = new Set([404, 405, 416])
const MAX_ERROR_BODY = 64 * 1024

/** Makes an error of every answer that the caller does not want to see. Throws REGISTRY_*. */
export async function judgement(passage: LocatedPassage, next: Send<LocatedPassage>): Promise<RegistryResponse> {
  const { allow } = passage
  const response = await next(passage)
  const { status } = response
  if (status < 400 || HANDED_BACK.has(status) || allow.includes(status)) return response
  throw await failure(passage, response)
}

/** The error for an answer; reads and closes its body. */
export async function failure(
  passage: Pick<Passage, 'sender' | 'request'>,
  response: RegistryResponse,
  more: Pick<Answer, 'complaint' | 'verdict'> = {},
): Promise<AppError> {
  return answerFailure(passage, response, { text: await readStart(response, MAX_ERROR_BODY), ...more })
}

/** The same where the body was read. */
export function answerFailure(
  passage: Pick<Passage, 'sender' | 'request'>,
  response: RegistryResponse,
  more: Pick<Answer, 'text' | 'complaint' | 'verdict'>,
): AppError {
  const { sender } = passage
  const redirected = !isRegistry(sender, response.url)
  if (!redirected) sender.onTraits?.(traitsOf((name) => response.header(name), more.text))
  const answer: Answer = { status: response.status, ...more, redirected, header: (name) => response.header(name) }
  return answerError(callFacts(passage, response.url), answer, sender.context.clock.now())
}
