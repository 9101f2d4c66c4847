import { mkdir } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createAuthenticator, type TokenSource } from '../../../src/access/authenticator.ts'
import { createIssuedTokens, type IssuedTokens } from '../../../src/access/issued-tokens.ts'
import type { Oidc } from '../../../src/access/oidc/oidc.ts'
import { openTokenFile } from '../../../src/access/token-file.ts'
import { type App, type AppOptions, createApp } from '../../../src/http/app.ts'
import { type Reference, registryId } from '../../../src/content/reference.ts'
import { type CatalogueRecords, createCatalogueRecords } from '../../../src/jobs/catalogue/catalogue.ts'
import { createRegistryFacts, type SharedRegistryFacts } from '../../../src/jobs/hints/registry-facts.ts'
import type { JobCredentials } from '../../../src/jobs/model/requests.ts'
import { type AccessConnection, openAccessConnection } from '../../../src/jobs/access/connection.ts'
import { createTokenRecords } from '../../../src/jobs/access/token-records.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import { createKeyRecords, type KeyRecords } from '../../../src/jobs/keys/key-records.ts'
import { createLinkRecords } from '../../../src/jobs/access/link-records.ts'
import { createPolicyRecords, type PolicyRecords } from '../../../src/jobs/access/policy-records.ts'
import { type Audit, openAudit } from '../../../src/roles/audit.ts'
import { createRegistryRecords, type RegistryRecords } from '../../../src/jobs/registries/registry-records.ts'
import { openUploadFolder, type UploadFolder, type UploadFolderOptions } from '../../../src/files/upload-folder.ts'
import { fixedCredentials } from '../../../src/oci/credentials/fixed.ts'
import { reportProfile } from '../../../src/oci/facts/profile-report.ts'
import { pingRegistry } from '../../../src/oci/ping/ping.ts'
import { ANYWHERE } from '../../../src/oci/request/outbound.ts'
import { openSessions } from '../../../src/roles/browser-sessions.ts'
import { inspectBundle } from '../../../src/transfer/bundle/inspect.ts'
import { inspectPackage } from '../../../src/transfer/inspect/overview.ts'
import { createInspectCache, openRemotePackage } from '../../../src/transfer/inspect/remote.ts'
import { inspectRepository } from '../../../src/transfer/inspect/repository.ts'
import { findReferrers } from '../../../src/transfer/referrers.ts'
import { type ContentStore, createContentStore } from '../../../src/store/content-store.ts'
import { createUploadLocks, type UploadLocksOptions } from '../../../src/jobs/uploads/upload-locks.ts'
import { type Cleanup, defer } from '../cleanup.ts'
import { startJobs, type TestJobs } from '../redis/jobs.ts'
import { registryClient } from '../packages/publishing.ts'
import { connect } from '../registries/transport.ts'
import { tempDir } from '../temp-dir.ts'
import { waitFor } from '../wait-for.ts'

export interface TestApp {
  app: App
  jobs: TestJobs
  uploads: UploadFolder
  store: ContentStore
  registries: RegistryRecords
  keys: KeyRecords
  policies: PolicyRecords
  tokens: IssuedTokens
  audit: Audit
  facts: SharedRegistryFacts
  catalogue: CatalogueRecords
  /** All that the app serves. */
  routes: ReadonlyArray<{ method: string; url: string }>
  /** The one folder that `file:` sources may lie in. */
  root: string
  uploadFolder: string
  /** The data directory. */
  folder: string
  /** Starts listening on a free loopback port; http://127.0.0.1:PORT. */
  listen: () => Promise<string>
}

export type TestAppOptions = Partial<AppOptions> & {
  uploadLimits?: Omit<UploadFolderOptions, 'folder'>
  /** LAYERD_TOKENS_FILE. */
  tokensFile?: string
  /** An issuer that lets in. */
  oidc?: Oidc
  /** Bytes that the disk keeps free. Default 0. */
  diskReserve?: number
  /** As another process over the same Redis. */
  beside?: Pick<TestApp, 'jobs'> & Partial<Pick<TestApp, 'folder'>>
  /** Of the locks of uploads. */
  lockTimes?: Pick<UploadLocksOptions, 'expiryMs' | 'patienceMs'>
  /** Further arguments of redis-server. */
  redisArgs?: readonly string[]
}

/** The whole HTTP side over a real queue in a Redis of its own. */
export async function startApp(
  t: Cleanup,
  {
    uploadLimits,
    diskReserve = 0,
    redisArgs = [],
    tokensFile,
    oidc,
    beside,
    lockTimes,
    ...changes
  }: TestAppOptions = {},
): Promise<TestApp> {
  const jobs = beside?.jobs ?? (await startJobs(t, { args: redisArgs }))
  const folder = beside?.folder ?? (await tempDir(t))
  const root = join(folder, 'packages')
  const uploadFolder = join(folder, 'uploads')
  await mkdir(root, { recursive: true })
  const store = await createContentStore({ folder: join(folder, 'store'), keepFree: () => diskReserve })
  const uploads = await openUploadFolder({ folder: uploadFolder, room: store.room, ...uploadLimits })
  const registries = createRegistryRecords({ ...jobs.options, role: 'starting' })
  defer(t, () => registries.close())
  await waitFor('what is kept of registries to be read', async () => {
    await registries.refresh()
    return true
  })
  const keys = createKeyRecords({ ...jobs.options, role: 'starting' })
  defer(t, () => keys.close())
  await waitFor('keys that are kept to be read', () => keys.list())
  const policies = createPolicyRecords({ ...jobs.options, role: 'starting' })
  defer(t, () => policies.close())
  await waitFor('policies that are kept to be read', () => policies.list())
  const access = openAccessConnection(jobs.options)
  defer(t, () => access.close())
  const tokens = createIssuedTokens(createTokenRecords(access), jobs.clock)
  await waitFor('issued tokens to be read', () => tokens.list())
  const audit = openAudit({ prefix: 'layerd', ...jobs.options, entries: 1000, logger: silentLogger })
  defer(t, () => audit.close())
  const facts = createRegistryFacts(jobs.options)
  defer(t, () => facts.close())
  const catalogue = createCatalogueRecords({ ...jobs.options, role: 'starting' })
  defer(t, () => catalogue.close())
  await waitFor('the catalogue to be read', async () => await catalogue.sources.list())
  const uploadLocks = createUploadLocks({ redis: jobs.options.redis, ...lockTimes })
  defer(t, () => uploadLocks.close())
  const app = createApp({
    queue: jobs.queue,
    events: jobs.events,
    uploads,
    uploadLocks,
    store,
    remote: readerOf(t),
    registries,
    keys,
    policies,
    tokens,
    audit: audit.trail,
    linkRecords: createLinkRecords(access),
    kmsPublicKey: async () => Promise.reject(new Error('this app knows no cloud')),
    profiles: {
      of: (registry) => reportProfile(registry, facts),
      forget: (registry) => facts.forget(registryId(registry)),
    },
    catalogue,
    ping: pingerOf(t),
    logger: silentLogger,
    version: '1.2.3',
    listenHost: '127.0.0.1',
    system: { settings: [] },
    fileRoots: [root],
    kinds: new Set(['publish']),
    ...(tokensFile === undefined && !oidc
      ? {}
      : await openedSessions(access, { tokensFile, tokens, oidc }, jobs.options)),
    allInOne: false,
    // Whether one was built here is nothing that a test may depend on.
    dashboard: join(folder, 'no-dashboard'),
    ...changes,
  })
  defer(t, () => app.close())
  const routes: Array<{ method: string; url: string }> = []
  app.addHook(
    'onRoute',
    ({ method, url }) => void routes.push(...[method].flat().map((each) => ({ method: each, url }))),
  )
  await app.ready()
  return {
    app,
    routes,
    facts,
    catalogue,
    jobs,
    keys,
    policies,
    tokens,
    audit,
    uploads,
    store,
    registries,
    root,
    uploadFolder,
    folder,
    listen: async () => {
      await app.listen({ port: 0, host: '127.0.0.1' })
      return `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`
    },
  }
}

/** As src/roles does it. */
async function openedSessions(
  connection: AccessConnection,
  { tokensFile, tokens, oidc }: { tokensFile: string | undefined; tokens: TokenSource; oidc: Oidc | undefined },
  options: TestJobs['options'],
) {
  const file = tokensFile === undefined ? [] : [await openTokenFile(tokensFile, silentLogger)]
  const authenticator = createAuthenticator([...file, tokens, ...(oidc ? [oidc.source] : [])])
  return openSessions(connection, { authenticator, codeFlow: oidc?.codeFlow }, options)
}

/** As src/roles does it, without Docker's credentials. */
function readerOf(t: Cleanup): AppOptions['remote'] {
  const cache = createInspectCache()
  const open = ({ registry, repository }: Reference, credentials: JobCredentials | undefined) =>
    registryClient(t, credentials && fixedCredentials(credentials.registry, credentials)).repository(
      registry,
      repository,
    )
  type Access = Parameters<AppOptions['remote']['open']>[1]
  const ends = async (reference: Reference, { credentials, plainHttp, signal }: Access) => {
    const repository = await open(reference, credentials)
    return { repository, origin: repository, plainHttp, cache, signal }
  }
  return {
    inspect: async (request, access) => inspectPackage(request, await ends(request.reference, access)),
    bundle: async (request, access) => inspectBundle(request, await ends(request.reference, access)),
    open: async (request, access) => openRemotePackage(request, await ends(request.reference, access)),
    repository: async (request, access) => inspectRepository(request, await ends(request.reference, access)),
    async referrers(request, { credentials, signal }) {
      return findReferrers(request, { repository: await open(request.reference, credentials), signal })
    },
  }
}

/** As src/roles does it, without Docker's credentials. */
function pingerOf(t: Cleanup): AppOptions['ping'] {
  return (request, { credentials, plainHttp, signal }) =>
    pingRegistry(request, {
      connections: connect(t),
      credentials: credentials ? fixedCredentials(credentials.registry, credentials) : { find: async () => undefined },
      plainHttp,
      policy: ANYWHERE,
      signal,
    })
}
