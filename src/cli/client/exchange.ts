import { type Dispatcher, request } from 'undici'
import type { Connection } from './calls.ts'
import { readBody, refusal, unreachable } from './problems.ts'

export type Init = { method: Dispatcher.HttpMethod; headers: Record<string, string> } & Partial<
  Pick<Dispatcher.RequestOptions, 'body' | 'headersTimeout' | 'bodyTimeout'>
> & {
    /** Ends this request alone. */
    signal?: AbortSignal
  }

/** One request of the API whose body or headers are no JSON. Throws ApiProblem. */
export async function send(connection: Connection, path: string, init: Init): Promise<Dispatcher.ResponseData> {
  const headers = { ...connection.authorization, ...init.headers }
  const { base } = connection
  const signal = init.signal ? AbortSignal.any([connection.signal, init.signal]) : connection.signal
  const response = await request(`${base}${path}`, { ...init, headers, signal }).catch((error: unknown) => {
    if (connection.signal.aborted) throw error
    throw unreachable(base, error)
  })
  if (response.statusCode < 400) return response
  throw refusal(response.statusCode, readBody(await response.body.text()))
}

export function firstValue(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value
}
