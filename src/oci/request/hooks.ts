import type { WireExchange } from '../../content/wire-request.ts'
import type { CallFacts } from '../errors/errors.ts'

/** An address that a name stands for, or that stood in place of a name. */
export interface RemoteAddress {
  /** As the URL has it, brackets and all. */
  readonly hostname: string
  /** IPv4 or IPv6, as text. */
  readonly address: string
}

/** A request before it goes its way. */
export interface Outgoing {
  /** What it is sent for: sent again, it is the same object. */
  readonly call: object
  readonly exchange: WireExchange
  readonly headers: Readonly<Record<string, string>>
  /** Of a body that is at hand; undefined for one that streams. */
  readonly bytes: number | undefined
}

/** The connection that carries a request. */
export interface ConnectionUse {
  /** Its number in this process. */
  readonly id: number
  /** How it was made, told of the first request that it carries. */
  readonly made?: ConnectionTimes
}

/** `startedAt`: performance.now(); the others ms. What is undefined there was none of, or nobody could see it. */
export interface ConnectionTimes {
  readonly startedAt: number
  readonly dns: number | undefined
  /** TCP, or all that there was without a name to look up. */
  readonly tcp: number
  readonly tls: number | undefined
}

/** What comes of an answer before its body. */
export interface AnswerHead {
  /** As RegistryResponse's. */
  readonly header: (name: string) => string | undefined
  /** When it came, performance.now(), where that was before now. */
  readonly at?: number | undefined
  /** Of its body, where that has come with it. */
  readonly bytes?: number | undefined
}

/**
 * What is asked, or told, at an exact moment of each request, whichever exchange carries it. Called synchronously; what a
 * hook throws ends the request as it is.
 */
export interface Hooks {
  /** Before a connection is made to an address that a name was resolved to, or that was given literally. Not behind a proxy, which connects by itself. */
  onConnect?(address: RemoteAddress): void
  /** A request is on its way to a connection, which it may have to wait for. */
  onRequest?(facts: CallFacts, outgoing: Outgoing): void
  /** The request goes out: its connection is there, and nothing of it has been sent. */
  beforeSend?(facts: CallFacts): void
  /** Right after beforeSend: which connection carries it. Not told where that can't be seen. */
  onConnection?(facts: CallFacts, connection: ConnectionUse): void
  /** Before each part of a body that is sent as it comes. */
  beforePart?(facts: CallFacts, bytes: number): void
  /** The last part of such a body was taken. */
  onSent?(facts: CallFacts): void
  /** The head of the answer has come. */
  onAnswer?(facts: CallFacts, status: number, head: AnswerHead): void
  /** Somebody reads the answer's body, and so many bytes more of it have come; undefined: nobody reads it any more. */
  onBody?(facts: CallFacts, bytes: number | undefined): void
  /** There is no answer (`error`), or its body was read, thrown away or broke off (`error`). Told once. */
  onEnd?(facts: CallFacts, error?: unknown): void
}

/** In the order in which they are asked. */
export type HookList = readonly Hooks[]

export const NO_HOOKS: HookList = []

export function onRequest(hooks: HookList, facts: CallFacts, outgoing: Outgoing): void {
  for (const hook of hooks) hook.onRequest?.(facts, outgoing)
}

export function beforeSend(hooks: HookList, facts: CallFacts): void {
  for (const hook of hooks) hook.beforeSend?.(facts)
}

export function onConnection(hooks: HookList, facts: CallFacts, connection: ConnectionUse | undefined): void {
  if (connection) for (const hook of hooks) hook.onConnection?.(facts, connection)
}

export function onBody(hooks: HookList, facts: CallFacts, bytes: number | undefined): void {
  for (const hook of hooks) hook.onBody?.(facts, bytes)
}

export function beforePart(hooks: HookList, facts: CallFacts, bytes: number): void {
  for (const hook of hooks) hook.beforePart?.(facts, bytes)
}

export function onSent(hooks: HookList, facts: CallFacts): void {
  for (const hook of hooks) hook.onSent?.(facts)
}

export function onAnswer(
  hooks: HookList,
  facts: CallFacts,
  { status, ...head }: AnswerHead & { status: number },
): void {
  for (const hook of hooks) hook.onAnswer?.(facts, status, head)
}

export function onEnd(hooks: HookList, facts: CallFacts, error?: unknown): void {
  for (const hook of hooks) hook.onEnd?.(facts, error)
}

/** Of a body that is read: BodyPace's. */
interface ReadPace {
  take(bytes: number): Promise<void> | undefined
  rest(): void
  go(): Promise<void> | undefined
}

interface ToldBody {
  readonly facts: CallFacts
  readonly body: AsyncIterable<Buffer>
  /** Whoever reads it waits, where it says so. */
  readonly pace: ReadPace | undefined
  readonly end: (error?: unknown) => void
}

/** The body of an answer, which tells who asked for it as it is read. `end`: told once nobody reads it any more, and why. */
export function toldBody(hooks: HookList, told: ToldBody): AsyncIterable<Buffer> {
  const listening = hooks.filter((hook) => hook.onBody !== undefined || hook.onEnd !== undefined)
  return listening.length === 0 && !told.pace ? told.body : telling(listening, told)
}

async function* telling(hooks: HookList, { facts, body, pace, end }: ToldBody): AsyncGenerator<Buffer> {
  const tell = (bytes: number | undefined) => hooks.forEach((hook) => hook.onBody?.(facts, bytes))
  let failure: unknown
  tell(0)
  try {
    if (pace) await pace.go()
    for await (const chunk of body) {
      tell(chunk.length)
      if (pace) await pace.take(chunk.length)
      pace?.rest()
      yield chunk
      if (pace) await pace.go()
    }
  } catch (error) {
    failure = error
    throw error
  } finally {
    tell(undefined)
    end(failure)
  }
}
