import createClient, { type Client } from 'openapi-fetch'
import type { paths } from '../../../clients/typescript/src/schema.d.ts'
import type { Problem } from './types.ts'

/** A refusal of the daemon, in its own words; or that it could not be asked at all. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly problem: Problem
  constructor(problem: Problem) {
    super(problem.detail)
    this.problem = problem
  }
}

const lost = new Set<() => void>()

/** Is told when the daemon no longer knows who asks. Gives what ends that. */
export function onUnknownCaller(tell: () => void): () => void {
  lost.add(tell)
  return () => void lost.delete(tell)
}

export function callerIsUnknown(): void {
  for (const tell of lost) tell()
}

/** The whole API, typed from openapi.yaml; the browser's cookie says who asks. */
export const api: Client<paths> = createClient<paths>({ baseUrl: location.origin, credentials: 'same-origin' })

api.use({
  onResponse({ response, schemaPath }) {
    if (response.status === 401 && schemaPath !== '/v1/session') callerIsUnknown()
  },
})

interface Answer<T> {
  data?: T
  error?: unknown
  response: Response
}

/** The answer's data. Throws Refusal. */
export async function dataOf<T>(asked: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await asked.catch((reason: unknown) => {
    if (reason instanceof DOMException && reason.name === 'AbortError') throw reason
    throw new Refusal(unreachable())
  })
  if (error !== undefined || !response.ok) throw new Refusal(problemIn(error, response))
  return data as T
}

export function unreachable(): Problem {
  return {
    type: 'about:blank',
    title: 'Not reached',
    status: 0,
    code: 'DAEMON_UNREACHABLE',
    detail: 'layerd does not answer',
    retryable: true,
  }
}

/** Why the daemon refused; what is no refusal is a fault of ours, and thrown on. */
export function problemOf(error: unknown): Problem {
  if (error instanceof Refusal) return error.problem
  throw error
}

/** What is no problem document comes from a proxy between. */
function problemIn(body: unknown, { status, statusText }: Response): Problem {
  if (typeof body === 'object' && body !== null && 'code' in body && 'detail' in body) return body as Problem
  const detail = `the answer was ${status} ${statusText}, which is not of layerd`
  return { ...unreachable(), title: 'Not answered by layerd', status, detail }
}
