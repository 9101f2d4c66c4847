import { readFile, writeFile } from 'node:fs/promises'
import type { IssuedTokens } from '../access/issued-tokens.ts'
import type { JobEventReader } from '../jobs/progress/events.ts'
import type { LinkRecords } from '../access/links.ts'
import type { PolicyRecords } from '../jobs/access/policy-records.ts'
import type { KeyRecords } from '../jobs/keys/key-records.ts'
import type { RegistryRecords } from '../jobs/registries/registry-records.ts'
import type { JobQueue } from '../jobs/queue.ts'
import type { UploadLocks } from '../jobs/uploads/upload-locks.ts'
import { silentLogger } from '../lib/logger.ts'
import type { UploadFolder } from '../files/upload-folder.ts'
import type { ContentStore } from '../store/content-store.ts'
import { type AppOptions, createApp } from './app.ts'
import type { RegistryProfiles } from './routes/registry-profiles.ts'
import type { RegistryReader } from './routes/remote-packages.ts'

/** openapi.yaml in the repository's root: what /openapi.yaml serves, for readers and for generators. `npm run openapi`. */
export const OPENAPI_FILE = new URL('../../openapi.yaml', import.meta.url)

/** The document as the schemas in this source say it. Nothing is started: only the routes' descriptions are read. */
export async function renderOpenapi(): Promise<string> {
  const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  const app = createApp({
    queue: {} as JobQueue,
    events: {} as JobEventReader,
    uploads: {} as UploadFolder,
    uploadLocks: {} as UploadLocks,
    store: {} as ContentStore,
    remote: {} as RegistryReader,
    registries: {} as RegistryRecords,
    keys: {} as KeyRecords,
    policies: {} as PolicyRecords,
    tokens: {} as IssuedTokens,
    audit: {} as AppOptions['audit'],
    linkRecords: {} as LinkRecords,
    kmsPublicKey: async () => Promise.reject(new Error('nobody asks')),
    profiles: {} as RegistryProfiles,
    catalogue: {} as AppOptions['catalogue'],
    ping: async () => Promise.reject(new Error('nobody asks')),
    logger: silentLogger,
    version,
    listenHost: 'localhost',
    system: { settings: [] },
    fileRoots: [],
    kinds: new Set(),
    allInOne: false,
  })
  await app.ready()
  const document = app.swagger({ yaml: true })
  await app.close()
  return document
}

if (import.meta.main) await writeFile(OPENAPI_FILE, await renderOpenapi())
