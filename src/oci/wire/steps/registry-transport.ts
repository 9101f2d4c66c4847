import { createAuthorizer } from '../../auth/authorizer.ts'
import { traitsOf } from '../../auth/traits.ts'
import { createCallerCredential } from '../../auth/caller-credential.ts'
import { maskCredential } from '../../auth/token.ts'
import { toldText } from '../../errors/errors.ts'
import { createMask } from '../../errors/mask.ts'
import { warningTexts } from '../../errors/warnings.ts'
import type { Hooks } from '../../request/hooks.ts'
import { COMMON_WAY } from '../../request/registry-way.ts'
import type { OnTraits, OnWarning, RegistryTransport, TransportCaller } from '../../request/transport.ts'
import { recorder } from '../../trace/recorder.ts'
import { bodies } from './bodies.ts'
import { answerFailure, failure, judgement } from './judgement.ts'
import { locate } from './location.ts'
import { logIn } from './log-in.ts'
import {
  inOrder,
  isRegistry,
  type LocatedPassage,
  type Passage,
  type Sender,
  type TransportContext,
} from './passage.ts'
import { pacing, pausing } from './pacing.ts'
import { logInAhead, preparation } from './preparation.ts'
import { redirects } from './redirects.ts'
import { renewal } from './credential-renewal.ts'
import { retries } from './retries.ts'
import { sending } from './sending.ts'

/** The way of a request, from the call to the wire. */
const arrive = inOrder<LocatedPassage>([judgement, pausing, bodies, logIn, redirects, pacing], sending)
const once = (passage: Passage) => locate(passage, arrive)
const send = inOrder<Passage>([retries, renewal, preparation], once)

/** One registry as one caller sees it; see RegistryTransport. */
export function createRegistryTransport(
  context: TransportContext,
  registry: string,
  caller: TransportCaller,
): RegistryTransport {
  const { plainHttp, way = COMMON_WAY, mayUse, budget, onWait, onBody, onWarning, onTraits, trace } = caller
  const mask = createMask(registry)
  const credential = createCallerCredential({
    credential: caller.credential,
    renew: caller.renew,
    clock: context.clock,
    onFound: (found) => maskCredential(mask, found),
  })
  const sender: Sender = {
    context,
    registry,
    plainHttp,
    way,
    paced: caller.paced ?? true,
    credential,
    authorizer: createAuthorizer({ ...context, registry, way, credential }),
    mask,
    mayUse: mayUse ?? (() => undefined),
    budget,
    onWait,
    onTraits,
    hooks: [
      ...context.hooks,
      ...(mayUse ? [{ beforeSend: mayUse, beforePart: mayUse }] : []),
      ...(onBody ? [{ onBody }] : []),
      ...(onWarning ? [warningsFor(registry, onWarning)] : []),
      ...(onTraits ? [traitsFor(registry, onTraits)] : []),
      ...(trace ? [recorder({ trace, clock: context.clock })] : []),
    ],
    answered: false,
  }
  return {
    registry,
    send: (request, { allow = [] } = {}) => send({ sender, request, allow }),
    refused: (request, response, text) => answerFailure({ sender, request }, response, { text }),
    refreshAuth: (scopes, signal) => logInAhead(sender, { scopes, signal }, once),
    error: (request, response, message) =>
      failure({ sender, request }, response, message === undefined ? undefined : { complaint: message }),
  }
}

/** Of the registry alone: a storage that it sends us to is no word of its. */
function warningsFor(registry: string, onWarning: OnWarning): Hooks {
  return {
    onAnswer(facts, _status, { header }) {
      const said = header('warning')
      if (said === undefined || !isRegistry({ registry }, facts.url)) return
      for (const text of warningTexts(said)) onWarning(registry, toldText(facts, text))
    },
  }
}

/** What a registry shows it shows soon; later only in refusals, and where it opens a session. */
const LOOKED_AT = 16

/** Of the registry alone, as its warnings are. */
function traitsFor(registry: string, onTraits: OnTraits): Hooks {
  let answers = 0
  return {
    onAnswer({ method, url }, status, { header }) {
      answers += 1
      if (answers > LOOKED_AT && status !== 401 && method !== 'POST') return
      if (isRegistry({ registry }, url)) onTraits(traitsOf(header))
    },
  }
}
