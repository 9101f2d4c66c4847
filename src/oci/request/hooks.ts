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
  onAnswer?(facts: CallFacts, status: number): void
}

/** In the order in which they are asked. */
export type HookList = readonly Hooks[]

export const NO_HOOKS: HookList = []

export function beforeSend(hooks: HookList, facts: CallFacts): void {
  for (const hook of hooks) hook.beforeSend?.(facts)
}

export function beforePart(hooks: HookList, facts: CallFacts): void {
  for (const hook of hooks) hook.beforePart?.(facts)
}

export function onAnswer(hooks: HookList, facts: CallFacts, status: number): void {
  for (const hook of hooks) hook.onAnswer?.(facts, status)
}
