import assert from 'node:assert/strict'
import { rename, writeFile } from 'node:fs/promises'
import type { InjectOptions } from 'fastify'
import type { Cleanup } from '../cleanup.ts'
import { waitFor } from '../wait-for.ts'
import { startApp, type TestAppOptions } from './http-app.ts'
import { tokenLine, tokensFileWith } from './tokens.ts'

export interface IssuedAnswer {
  id: string
  token: string
  name: string
  expiresAt: string | null
  lastUsedAt: string | null
}

/** An app that wants tokens: `root` of the file has "*", and more stand in `lines`; each is its name. */
export async function startTokenApp(t: Cleanup, lines = '', options: TestAppOptions = {}) {
  const tokensFile = await tokensFileWith(t, tokenLine('root', '*'), lines)
  const bed = await startApp(t, { tokensFile, ...options })
  /** On a busy machine Redis may take more than the 1.5 s that are waited for it. */
  const ask = (token: string | undefined, request: InjectOptions) =>
    waitFor('Redis to answer', async () => {
      const headers = { ...request.headers, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) }
      const answer = await bed.app.inject({ ...request, headers })
      return answer.statusCode === 503 ? undefined : answer
    })
  const post = (payload: object, by = 'root') => ask(by, { method: 'POST', url: '/v1/tokens', payload })
  return {
    ...bed,
    tokensFile,
    ask,
    post,
    issue: async (payload: object, by = 'root') => {
      const answer = await post({ name: 'ci', scopes: ['jobs:read'], ...payload }, by)
      assert.equal(answer.statusCode, 201, answer.body)
      return answer.json<IssuedAnswer>()
    },
    revoke: (id: string, by = 'root') => ask(by, { method: 'DELETE', url: `/v1/tokens/${id}` }),
    status: async (token: string | undefined, url = '/v1/jobs') => (await ask(token, { url })).statusCode,
    /** Puts other lines beside root's, at once. */
    setLines: async (others: string) => {
      await writeFile(`${tokensFile}.new`, tokenLine('root', '*') + others)
      await rename(`${tokensFile}.new`, tokensFile)
    },
  }
}
