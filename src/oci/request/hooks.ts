import type { CallFacts } from '../errors/errors.ts'

/** An address that a name stands for, or that stood in place of a name. */
export interface RemoteAddress {
  /** As the URL has it, brackets and all. */
  readonly hostname: string
  /** IPv4 or IPv6, as text. */
  readonly address: string
}

/**
 * What is asked, or told, at an exact moment of each request, whichever exchange carries it. Called synchronously; what a
 * hook throws ends the request as it is.
 */
export interface Hooks {
  /** Before a connection is made to an address that a name was resolved to, or that was given literally. Not behind a proxy, which connects by itself. */
  onConnect?(address: RemoteAddress): void
  /** The request goes out: its connection is there, and nothing of it has been sent. */
  beforeSend?(facts: CallFacts): void
  /** Before each part of a body that is sent as it comes. */
  beforePart?(facts: CallFacts): void
  /** The head of the answer has come. */
  onAnswer?(facts: CallFacts, status: number, header: Header): void
  /** Somebody reads the answer's body, and so many bytes more of it have come; undefined: nobody reads it any more. */
  onBody?(facts: CallFacts, bytes: number | undefined): void
}

/** RegistryResponse.header. */
export type Header = (name: string) => string | undefined

/** In the order in which they are asked. */
export type HookList = readonly Hooks[]

export const NO_HOOKS: HookList = []

export function beforeSend(hooks: HookList, facts: CallFacts): void {
  for (const hook of hooks) hook.beforeSend?.(facts)
}

export function beforePart(hooks: HookList, facts: CallFacts): void {
  for (const hook of hooks) hook.beforePart?.(facts)
}

export function onAnswer(hooks: HookList, facts: CallFacts, status: number, header: Header): void {
  for (const hook of hooks) hook.onAnswer?.(facts, status, header)
}

export function onBody(hooks: HookList, facts: CallFacts, bytes: number | undefined): void {
  for (const hook of hooks) hook.onBody?.(facts, bytes)
}

/** The body of an answer, which tells who asked for it as it is read. */
export function toldBody(hooks: HookList, facts: CallFacts, body: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
  const told = hooks.filter((hook) => hook.onBody !== undefined)
  return told.length === 0 ? body : telling(told, facts, body)
}

async function* telling(hooks: HookList, facts: CallFacts, body: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const tell = (bytes: number | undefined) => hooks.forEach((hook) => hook.onBody?.(facts, bytes))
  tell(0)
  try {
    for await (const chunk of body) {
      tell(chunk.length)
      yield chunk
    }
  } finally {
    tell(undefined)
  }
}
