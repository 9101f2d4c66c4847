/** The step of a release check that pins images: what a tag means is chosen by its registry anew each day, a digest is not. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createRegistryConnections } from '../../src/oci/connections.ts'
import { dockerCredentials } from '../../src/oci/credentials/docker-config.ts'
import { createRegistryClient } from '../../src/oci/registry.ts'

/** What names images, and how; a `FROM` may name a stage of its own file. */
const FILES = [
  { file: 'Dockerfile', names: /^FROM[ \t]+([^ \t\n]+)/gm },
  { file: 'docker-compose.yaml', names: /^[ \t]+image:[ \t]+([^ \t\n#]+)/gm },
]
/** Built from this clone: it has a digest once it was pushed. */
const OWN = 'layerd'
const LOOK_MS = 60_000
/** The registry said nothing. */
const UNREACHED = new Set([
  'REGISTRY_UNKNOWN_HOST',
  'REGISTRY_UNREACHABLE',
  'REGISTRY_TIMEOUT',
  'REGISTRY_CONNECTION_LOST',
  'REGISTRY_TLS',
])

export async function pinImages({ root, out }) {
  const texts = FILES.map(({ file, names }) => ({ file, names, text: readFileSync(join(root, file), 'utf8') }))
  const named = new Set(texts.flatMap(({ names, text }) => [...text.matchAll(names)].map(([, name]) => name)))
  const pinned = new Map()
  const failures = []
  const connections = createRegistryConnections({ version: 'release' })
  try {
    for (const name of named) {
      if (name === OWN || name.includes('@')) continue
      try {
        pinned.set(name, await digestOf(connections, name))
      } catch (error) {
        failures.push({ text: `${name}: ${error.message}`, reached: !UNREACHED.has(error.code) })
      }
    }
  } finally {
    await connections[Symbol.asyncDispose]()
  }
  if (failures.length > 0) {
    const verdict = failures.some(({ reached }) => reached) ? 'wrong' : 'unchecked'
    return { verdict, text: `${failures.map(({ text }) => text).join('; ')}. Nothing was written.` }
  }
  for (const { file, names, text } of texts) {
    const pin = (line, name) => (pinned.has(name) ? line.replace(name, `${name}@${pinned.get(name)}`) : line)
    writeFileSync(join(out, file), text.replace(names, pin))
  }
  return { verdict: 'ok', text: [...pinned].map(([name, digest]) => `${name}@${digest}`).join(' ') }
}

/** Of the index where there is one, as `docker pull NAME@DIGEST` takes it for every architecture. */
async function digestOf(connections, name) {
  const { registry, repository, tag } = parseName(name)
  const signal = AbortSignal.timeout(LOOK_MS)
  const credentials = dockerCredentials({ env: process.env })
  const client = createRegistryClient({ connections, credentials, plainHttp: () => false, signal })
  const found = await (await client.repository(registry, repository)).getManifest(tag, { signal })
  if (found === undefined) throw new Error(`${registry} has no such image`)
  return found.digest
}

/** As Docker reads it: what comes first is a registry where it has a dot or a port; a lone name is one of Docker Hub's library. */
function parseName(name) {
  const [first = '', ...rest] = name.split('/')
  const hasRegistry = rest.length > 0 && (/[.:]/.test(first) || first === 'localhost')
  const path = hasRegistry ? rest.join('/') : name
  const colon = path.lastIndexOf(':')
  const repository = colon === -1 ? path : path.slice(0, colon)
  return {
    registry: hasRegistry ? first : 'docker.io',
    repository: hasRegistry || repository.includes('/') ? repository : `library/${repository}`,
    tag: colon === -1 ? 'latest' : path.slice(colon + 1),
  }
}
