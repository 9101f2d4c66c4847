import createClient, { type Client } from 'openapi-fetch'
import { fetch, Request } from 'undici'
import type { Contract } from './contract.ts'
import { refusal, unreachable } from './problems.ts'

export interface Connection {
  /** Without a slash at its end. */
  base: string
  authorization: Record<string, string>
  signal: AbortSignal
}

/** Every operation of the contract that answers in JSON. `answer` reads what they give. */
export type Calls = Client<Contract>

export function createCalls({ base, authorization, signal }: Connection): Calls {
  const calls = createClient<Contract>({
    baseUrl: base,
    headers: { accept: 'application/json', ...authorization },
    signal,
    // Of one undici both: the built-in fetch does not know the other's Request.
    fetch: fetch as unknown as typeof globalThis.fetch,
    Request: Request as unknown as typeof globalThis.Request,
  })
  calls.use({ onError: ({ error }) => (signal.aborted ? undefined : unreachable(base, error)) })
  return calls
}

/** What the daemon answered. Throws ApiProblem. */
export async function answer<T>(call: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<T> {
  const { data, error, response } = await call
  if (response.ok) return data as T
  throw refusal(response.status, error)
}
