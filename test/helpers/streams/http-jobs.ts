import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startApp, type TestApp } from './http-app.ts'

export const DESTINATION = 'oci://registry.example:5000/team'

export const NO_JOB = '01900000-0000-7000-8000-000000000000'

export async function withPackage(t: Parameters<typeof startApp>[0], changes: Parameters<typeof startApp>[1] = {}) {
  const server = await startApp(t, changes)
  await writeFile(join(server.root, 'p.tar.zst'), 'bytes')
  return { ...server, body: { kind: 'publish', source: `file:${server.root}/p.tar.zst`, destination: DESTINATION } }
}

export function post({ app }: TestApp, payload: object, headers: Record<string, string> = {}) {
  return app.inject({ method: 'POST', url: '/v1/jobs', headers, payload })
}

export function act({ app }: TestApp, path: string, payload: object = {}, headers: Record<string, string> = {}) {
  return app.inject({ method: 'POST', url: `/v1/jobs/${path}`, headers, payload })
}
