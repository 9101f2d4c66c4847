import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { Redis } from 'ioredis'
import { digestOf } from '../../src/content/digest.ts'
import { OCI_INDEX, OCI_MANIFEST, ZARF_CONFIG, ZARF_LAYER } from '../../src/content/media-types.ts'
import type { CatalogRegistry } from '../../src/http/schemas/catalog/catalog.ts'
import { createKeys } from '../../src/jobs/redis/keys.ts'
import { CleanupStack } from '../helpers/cleanup.ts'
import { apiOf, readyUrl, startLayerd } from '../helpers/processes/layerd.ts'
import { type RegistryProgram, startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import { waitFor } from '../helpers/wait-for.ts'
import { median } from './measure.ts'

/**
 * npm run bench:catalogue [-- --repositories 1000 --tags 20 --requests 1000 --program registry]
 *
 * What it takes to know what a registry holds: the first refresh and the next one, memory of the API and of Redis, pages
 * and searches. Each tag is an index with one package of its own.
 */
const { values } = parseArgs({
  options: {
    repositories: { type: 'string', default: '1000' },
    tags: { type: 'string', default: '20' },
    requests: { type: 'string', default: '1000' },
    program: { type: 'string', default: 'registry' },
  },
})
const [repositories, tags] = [Number(values.repositories), Number(values.tags)]
const folder = mkdtempSync(join(tmpdir(), 'layerd-bench-catalogue-'))
await using stack = new CleanupStack()
stack.after(async () => rmSync(folder, { recursive: true, force: true }))

/** distribution's storage, which it reads as if it had been pushed. */
const storage = join(folder, 'storage')
const v2 = join(storage, 'docker/registry/v2')
const write = (path: string, bytes: Buffer | string) => {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, bytes)
}

function putBlob(repository: string, bytes: Buffer): { digest: string; size: number } {
  const digest = digestOf(bytes)
  const hex = digest.slice('sha256:'.length)
  write(join(v2, 'blobs/sha256', hex.slice(0, 2), hex, 'data'), bytes)
  write(join(v2, 'repositories', repository, '_layers/sha256', hex, 'link'), digest)
  return { digest, size: bytes.length }
}

function putManifest(repository: string, body: object): { digest: string; size: number } {
  const { digest, size } = putBlob(repository, Buffer.from(JSON.stringify(body)))
  write(join(v2, 'repositories', repository, '_manifests/revisions/sha256', digest.slice(7), 'link'), digest)
  return { digest, size }
}

function putPackage(repository: string, name: string, version: string): void {
  const checksums = Buffer.from('')
  const definition = `kind: ZarfPackageConfig
metadata:
  name: ${name}
  version: ${version}
  description: ${`What ${name} is for, in as many words as people write `.repeat(2)}
  aggregateChecksum: ${digestOf(checksums).slice(7)}
build:
  architecture: amd64
  timestamp: Mon, 02 Nov 2026 10:00:00 +0000
components:
  - name: web
    required: true
    images: [ghcr.io/team/${name}:${version}, ghcr.io/team/${name}-jobs:${version}]
`
  const layer = (title: string, bytes: Buffer) => ({
    mediaType: ZARF_LAYER,
    ...putBlob(repository, bytes),
    annotations: { 'org.opencontainers.image.title': title },
  })
  const manifest = putManifest(repository, {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: { mediaType: ZARF_CONFIG, ...putBlob(repository, Buffer.from(`{"architecture":"amd64"}`)) },
    layers: [layer('zarf.yaml', Buffer.from(definition)), layer('checksums.txt', checksums)],
  })
  const index = putManifest(repository, {
    schemaVersion: 2,
    mediaType: OCI_INDEX,
    manifests: [{ mediaType: OCI_MANIFEST, ...manifest, platform: { architecture: 'amd64', os: 'multi' } }],
  })
  const at = join(v2, 'repositories', repository, '_manifests/tags', version)
  write(join(at, 'current/link'), index.digest)
  write(join(at, 'index/sha256', index.digest.slice(7), 'link'), index.digest)
}

for (let at = 0; at < repositories; at += 1) {
  const name = `nemo-${`${at}`.padStart(6, '0')}`
  for (let tag = 0; tag < tags; tag += 1) putPackage(`team-${at % 50}/${name}`, name, `1.${tag}.0`)
}
const program = values.program as RegistryProgram
const { host } = await startDockerRegistry(stack, { program, storage, quiet: true })
const dataDir = join(folder, 'data')
const layerd = await startLayerd(stack, {
  dataDir,
  env: { LAYERD_WORKERS: '0', LAYERD_CATALOG_REQUESTS: values.requests, LAYERD_CATALOG_TAGS: '2000000' },
})
const url = await readyUrl(layerd)
const api = apiOf(layerd.pid)
const peakMiB = () => Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${api.pid}/status`, 'utf8'))?.[1]) / 1024
const cpuSeconds = () => {
  const fields = readFileSync(`/proc/${api.pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) / 100
}
const idle = peakMiB()
const place = `${url}/v1/catalog/registries/${host}`
const state = async () => (await (await fetch(place)).json()) as CatalogRegistry
const pages: number[] = []

async function refresh(what: string, ask: () => Promise<unknown>): Promise<void> {
  const before = (await state()).startedAt
  const [from, cpu] = [performance.now(), cpuSeconds()]
  await ask()
  const found = await waitFor(
    'the refresh',
    async () => {
      const began = performance.now()
      await (await fetch(`${url}/v1/catalog`)).arrayBuffer()
      pages.push(performance.now() - began)
      const now = await state()
      return now.state !== 'refreshing' && now.startedAt !== before && now.startedAt !== null ? now : undefined
    },
    { timeoutMs: 3_600_000, intervalMs: 250 },
  )
  const seconds = (performance.now() - from) / 1000
  const { repositoryCount, tagCount, problemCount } = found
  console.log(
    `${what}: ${seconds.toFixed(1)} s, CPU of the API ${(cpuSeconds() - cpu).toFixed(1)} s, peak ${peakMiB().toFixed(0)} MiB (before: ${idle.toFixed(0)}), ${repositoryCount} repositories, ${tagCount} tags, ${problemCount} problems`,
  )
}

async function timed(what: string, query: string): Promise<void> {
  const times: number[] = []
  let bytes = 0
  for (let round = 0; round < 20; round += 1) {
    const began = performance.now()
    bytes = (await (await fetch(`${url}/v1/catalog?${query}`)).arrayBuffer()).byteLength
    times.push(performance.now() - began)
  }
  console.log(
    `${what}: median ${median(times).toFixed(0)} ms, most ${Math.max(...times).toFixed(0)} ms, ${bytes} bytes`,
  )
}

const headers = { 'content-type': 'application/json', 'if-none-match': '*' }
await refresh('first refresh', () => fetch(place, { method: 'PUT', headers, body: '{}' }))
await refresh('next refresh', () =>
  fetch(`${place}/refresh`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' }),
)
console.log(
  `pages meanwhile: ${pages.length}, median ${median(pages).toFixed(0)} ms, most ${Math.max(...pages).toFixed(0)} ms`,
)
await timed('first page of 50', '')
await timed('a page of 200', 'pageSize=200')
await timed('search that finds one', `q=nemo-${`${repositories - 1}`.padStart(6, '0')}`)
await timed('search that finds nothing', 'q=nothing-of-that-name')
await timed('newer than', 'newerThan=1.5.0')
const redis = new Redis({ path: join(dataDir, 'redis', 'redis.sock') })
let all = 0
for (const what of ['names', 'told', 'tags'] as const) {
  const bytes = Number(await redis.call('MEMORY', 'USAGE', createKeys().catalogueOf(host, what), 'SAMPLES', '0'))
  all += bytes
  console.log(`Redis, ${what}: ${(bytes / 2 ** 20).toFixed(1)} MiB`)
}
console.log(
  `Redis: ${(all / repositories / tags).toFixed(0)} bytes a tag, ${(all / repositories).toFixed(0)} a repository`,
)
redis.disconnect()
