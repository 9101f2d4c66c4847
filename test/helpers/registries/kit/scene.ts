import { createRegistryConnections } from '../../../../src/oci/connections.ts'
import { registryProfile } from '../../../../src/oci/facts/registry-profile.ts'
import {
  createRegistryClient,
  type RegistryClient,
  type RegistryClientOptions,
  type Repository,
} from '../../../../src/oci/registry.ts'
import { type Cleanup, defer } from '../../cleanup.ts'
import type { RecordedRequest } from './exchange.ts'
import { type FakeRegistryOptions, startFakeRegistry } from './fake-registry.ts'
import { profile, type ProfileName } from './profiles.ts'
import type { Overrides } from './ways.ts'

/** Under which name layerd knows a registry whose host tells; others are told by what they do. */
const KNOWN_AS: Partial<Record<ProfileName, string>> = {
  dockerhub: 'docker.io',
  ecr: '123456789012.dkr.ecr.eu-west-1.amazonaws.com',
  'ecr-public': 'public.ecr.aws',
  ghcr: 'ghcr.io',
  quay: 'quay.io',
  acr: 'someone.azurecr.io',
  gar: 'europe-docker.pkg.dev',
  gitlab: 'registry.gitlab.com',
  artifactory: 'someone.jfrog.io',
  forgejo: 'codeberg.org',
  digitalocean: 'registry.digitalocean.com',
}

export const NAMESPACE = 'team/store'
/** Of the package that the tests publish. */
export const REPOSITORY = `${NAMESPACE}/sample`
export const OTHER = `${NAMESPACE}/other`
export const USER = { username: 'AWS', password: 'a long password' }

export interface ProfileScene {
  registry: Awaited<ReturnType<typeof startFakeRegistry>>
  client: RegistryClient
  /** Default: REPOSITORY. */
  repository: (name?: string) => Promise<Repository>
  /** Bodies that went up, as far as they arrived. */
  sent: (from?: number) => number
  /** Uploads of blobs, each as its method, what came of it, and its range. */
  uploads: (from?: number) => string[]
}

export interface SceneOptions extends Partial<Pick<FakeRegistryOptions, 'names' | 'rights' | 'overlaps'>> {
  overrides?: readonly Overrides[]
  /** Default: by the profile; '' knows nothing of it. */
  as?: string
  client?: Partial<RegistryClientOptions>
  /** Shown when the registry asks. Default: the right ones. */
  password?: () => string | undefined
}

/** A registry by profile, and layerd's client before it, which knows it as far as it would know the real one. */
export async function profileScene(t: Cleanup, name: ProfileName, options: SceneOptions = {}): Promise<ProfileScene> {
  const { overrides = [], as = KNOWN_AS[name] ?? '', password = () => USER.password, client: more, ...rest } = options
  const ways = profile(name, ...overrides)
  const names = ways.repositories === 'named' ? [REPOSITORY, OTHER] : [NAMESPACE]
  const users = { [USER.username]: USER.password }
  const registry = await startFakeRegistry(t, { names, users, ...rest, ways })
  const connections = createRegistryConnections({
    version: '0.0.0',
    pace: { baseMs: 10, maxMs: 20 },
  })
  defer(t, async () => connections[Symbol.asyncDispose]())
  const credential = async () => {
    const found = password()
    return found === undefined ? undefined : { kind: 'basic' as const, username: USER.username, password: found }
  }
  const client = createRegistryClient({
    connections,
    credentials: { find: async () => ({ id: 'test', source: 'the test', credential }) },
    plainHttp: () => true,
    signal: new AbortController().signal,
    retry: { attempts: 4, baseMs: 10, maxMs: 20, maxRetryAfterMs: 1000 },
    commitWaitMs: 1000,
    ...(as === '' ? {} : { profile: registryProfile(as) }),
    ...more,
  })
  const bodies = (from = 0): RecordedRequest[] =>
    registry.requests
      .slice(from)
      .filter(({ method, path }) => /^(?:POST|PATCH|PUT)$/.test(method) && /\/blobs\/uploads?\//.test(path))
  return {
    registry,
    client,
    repository: (name = REPOSITORY) => client.repository(registry.host, name),
    sent: (from) => bodies(from).reduce((sum, { bodyBytes }) => sum + bodyBytes, 0),
    uploads: (from) =>
      bodies(from)
        .filter(({ method }) => method !== 'POST')
        .map(({ method, headers, status }) => `${method} ${headers['content-range'] ?? '-'} ${status ?? 'cut'}`),
  }
}
