import { createReadStream } from 'node:fs'
import type { Response } from 'light-my-request'
import { SCOPES, type Scope } from '../../../src/access/scopes.ts'
import type { Digest } from '../../../src/content/digest.ts'
import type { Cleanup } from '../cleanup.ts'
import { FIXTURES } from '../packages/fixtures.ts'
import { fillRegistry, pullFrom } from '../packages/pulling.ts'
import { newJob } from '../redis/jobs.ts'
import { type MemoryRegistry, startMemoryRegistry } from '../registries/memory-registry.ts'
import { startApp, type TestApp, type TestAppOptions } from '../streams/http-app.ts'
import { tokenLine, tokensFileWith } from '../streams/tokens.ts'
import type { AccessRow, Subject } from './routes.ts'

/** All but those that open what others own. */
export const PLAIN_SCOPES: readonly Scope[] = SCOPES.filter((scope) => !scope.startsWith('system:'))

/** A line of the token file; its token is its key. */
export interface Person {
  readonly name: string
  readonly scopes: readonly string[]
  readonly limits?: string
}

/** An app where tokens are required, a registry with a package, and things of whoever is asked for. */
export interface World extends TestApp {
  readonly registry: MemoryRegistry
  /** Of the package in it. */
  readonly reference: string
  jobOf(owner: string, labels?: Record<string, string>, destination?: string): Promise<string>
  uploadOf(owner: string): Promise<string>
  packageOf(owner: string): Promise<Digest>
  ask(token: string | undefined, method: string, url: string, row?: AccessRow): Promise<Response>
}

export async function startWorld(
  t: Cleanup & { after(work: () => Promise<void>): void },
  people: (registry: string) => Readonly<Record<string, Person>>,
  changes: TestAppOptions = {},
): Promise<World> {
  const registry = await startMemoryRegistry()
  t.after(async () => registry[Symbol.asyncDispose]())
  const reference = `oci://${registry.host}/team/nemo:1.2.0`
  const nemo = { path: FIXTURES.nemoAmd64, published: 'nemo' } as const
  await fillRegistry(registry, { repository: 'team/nemo', tag: '1.2.0' }, [nemo])
  const lines = Object.entries(people(registry.host)).map(([token, { name, scopes, limits = '' }]) =>
    tokenLine(name, `${scopes.join(',')} ${limits}`, token),
  )
  const tokensFile = await tokensFileWith(t, ...lines)
  const app = await startApp(t, { tokensFile, ...changes })
  return {
    ...app,
    registry,
    reference,
    async jobOf(principal, labels = {}, destination = `oci://${registry.host}/team`) {
      const job = newJob({ principal, labels, destination, queueHost: registry.host, registries: [registry.host] })
      return (await app.jobs.queue.create(job)).job.id
    },
    async uploadOf(principal) {
      const bytes = createReadStream(FIXTURES.nemoAmd64)
      return (await app.uploads.receive('zarf-package-nemo-amd64-1.2.0.tar.zst', bytes, { principal })).id
    },
    async packageOf(owner) {
      const { outcome } = await pullFrom(t, reference.slice('oci://'.length), {
        store: app.store,
        architecture: 'amd64',
        owner,
      })
      return outcome.digest
    },
    async ask(token, method, url, { payload, headers = {} } = { scopes: 'known' }) {
      const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` }
      const body = payload === undefined ? {} : { payload }
      return await app.app.inject({ method: method as 'GET', url, headers: { ...headers, ...authorization }, ...body })
    },
  }
}

/** The path of a route, with the ids of things for its parameters. */
export function pathOf(url: string, ids: Readonly<Record<string, string>>): string {
  return url.replaceAll(/:([a-z]+)/g, (_, name: string) => encodeURIComponent(ids[name] ?? `no-${name}`))
}

/** How it is refused, where it is. */
export function verdictOf({ statusCode, body }: Response): 'unknown' | 'no scope' | 'not there' | 'through' {
  const { code, detail } = parsed(body)
  if (statusCode === 401) return 'unknown'
  if (statusCode === 403 && code === 'SCOPE_MISSING') return 'no scope'
  if (code === 'JOB_NOT_FOUND' || code === 'PACKAGE_NOT_STORED') return 'not there'
  return code === 'NOT_FOUND' && detail?.startsWith('there is no upload') ? 'not there' : 'through'
}

export const MAKERS: Readonly<Record<Subject, 'jobOf' | 'uploadOf' | 'packageOf'>> = {
  job: 'jobOf',
  upload: 'uploadOf',
  package: 'packageOf',
}

/** Which parameter of a path names a thing. */
export const PARAMETERS: Readonly<Record<Subject, string>> = { job: 'id', upload: 'upload', package: 'digest' }

function parsed(body: string): { code?: string; detail?: string } {
  try {
    return JSON.parse(body) as { code?: string; detail?: string }
  } catch {
    return {}
  }
}
