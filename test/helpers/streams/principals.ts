import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { InjectOptions, LightMyRequestResponse as Response } from 'fastify'
import type { Cleanup } from '../cleanup.ts'
import { tempDir } from '../temp-dir.ts'
import { tokenLine } from './tokens.ts'
import type { App } from '../../../src/http/app.ts'

/** What jobs, uploads and packages ask for, and nothing that shows those of others. */
export const WORKS = 'jobs:read,jobs:write,jobs:cancel,packages:read,packages:write,packages:delete,uploads:write'

/** Principals by the rest of their lines in a token file, `scopes limits`; the token of each is `token-of-NAME`. */
export async function tokensFor(t: Cleanup, principals: Readonly<Record<string, string>>): Promise<string> {
  const path = join(await tempDir(t, 'tokens'), 'tokens')
  await writeTokens(path, principals)
  return path
}

export async function writeTokens(path: string, principals: Readonly<Record<string, string>>): Promise<void> {
  const lines = Object.entries(principals).map(([name, rest]) => tokenLine(name, rest, `token-of-${name}`))
  await writeFile(path, lines.join(''))
}

export function bearer(name: string): { authorization: string } {
  return { authorization: `Bearer token-of-${name}` }
}

/** A request of one of them. */
export async function ask(app: App, name: string, request: InjectOptions & { url: string }): Promise<Response> {
  return await app.inject({ ...request, headers: { ...bearer(name), ...request.headers } })
}

/** All that an answer tells, but for what differs between any two: when, which request, and what it named. */
export function told({ statusCode, headers, body }: Response, named: string): unknown {
  const { date: _, 'x-request-id': id, 'content-length': __, ...rest } = headers
  const plain = (text: string) =>
    text.replaceAll(named, 'IT').replaceAll(encodeURIComponent(named), 'IT').replaceAll(String(id), 'ID')
  return { statusCode, headers: JSON.parse(plain(JSON.stringify(rest))), body: plain(body) }
}
