import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createReadStream, createWriteStream, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { createCertificate } from '../helpers/certificate.ts'
import { CleanupStack } from '../helpers/cleanup.ts'
import { registryPrograms, startDockerRegistry } from '../helpers/docker-registry.ts'
import { buildPackage, contentChunks } from '../helpers/package-builder.ts'
import { startProcess } from '../helpers/processes.ts'
import { compete, type Row, table } from './rows.ts'
import { publishTask, pullTask, pushBlobTask } from './tasks.ts'

/**
 * npm run bench [-- --rounds 3 --size 2GiB --json FILE --only publish,blob,small,pull]
 *
 * layerd beside the programs people use today, in one run, in turn. What is not on PATH is named and left out.
 */
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    size: { type: 'string', default: '2GiB' },
    small: { type: 'string', default: '5000' },
    only: { type: 'string', default: 'publish,pull,blob,small' },
    json: { type: 'string' },
  },
})
const rounds = Number(values.rounds)
const bytes = parseSize(values.size)
const only = new Set(values.only.split(','))
const log = (line: string) => process.stdout.write(`${line}\n`)
const rows: Row[] = []
const missing = new Set<string>()

await using t = new CleanupStack()
const folder = mkdtempSync(join(tmpdir(), 'layerd-bench-input-'))
try {
  for (const program of registryPrograms()) {
    const registry = await startDockerRegistry(t, { program })
    if (only.has('publish') || only.has('pull')) await packageRows(registry.host, program)
    if (only.has('small')) await smallRows(registry.host, program)
    await registry.stop()
  }
  if (only.has('blob')) {
    await blobRows(false)
    await blobRows(true)
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
const machine = `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}, ${new Date().toISOString().slice(0, 10)}`
log(`\n${machine}; medians of ${rounds} rounds in turn; peak and temp are the largest seen\n\n${table(rows)}`)
for (const name of missing) log(`not on PATH, left out: ${name}`)
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ machine, rounds, rows }, null, 2)}\n`)

async function packageRows(host: string, program: string): Promise<void> {
  const built = await buildPackage(folder, {
    name: 'bench',
    layers: 20,
    layerBytes: Math.floor(bytes / 20),
    compressible: 0.5,
  })
  if (only.has('publish')) {
    const { all, missing: absent } = publishTask(host, built)
    for (const name of absent) missing.add(name)
    rows.push(
      ...(await compete(`publish ${values.size}, 20 layers, ${program}`, all, { rounds, against: 'zarf', log })),
    )
  }
  if (!only.has('pull')) return
  await compete(
    'filling',
    publishTask(host, built)
      .all.slice(0, 1)
      .map((one) => ({ ...one, args: () => one.args({ id: 'pulled', temporary: '' }), check: async () => undefined })),
    { rounds: 1, against: '', log },
  )
  const { all } = pullTask(host, `pulled/${built.name}`, built)
  rows.push(...(await compete(`pull ${values.size}, 20 layers, ${program}`, all, { rounds, against: 'zarf', log })))
}

async function smallRows(host: string, program: string): Promise<void> {
  const built = await buildPackage(folder, { name: 'small', layers: Number(values.small), layerBytes: 2048 })
  const { all } = publishTask(host, built)
  rows.push(...(await compete(`publish ${values.small} x 2 KiB, ${program}`, all, { rounds, against: 'zarf', log })))
}

async function blobRows(tls: boolean): Promise<void> {
  const path = join(folder, 'blob')
  await pipeline(Readable.from(contentChunks({ bytes, compressible: 0 })), createWriteStream(path))
  const hash = createHash('sha256')
  await pipeline(createReadStream(path, { highWaterMark: 1024 * 1024 }), hash)
  const blob = { path, digest: `sha256:${hash.digest('hex')}`, size: bytes }
  const certificate = createCertificate()
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  writeFileSync(key, certificate.keyPem)
  writeFileSync(cert, certificate.certPem)
  const sinkFile = fileURLToPath(new URL('sink.ts', import.meta.url))
  const sink = await startProcess(t, process.execPath, tls ? [sinkFile, key, cert] : [sinkFile])
  const [, port = ''] = await sink.waitForOutput(/port (\d+)/)
  const host = `127.0.0.1:${port}`
  const moved = async () => {
    const body = await read(`${tls ? 'https' : 'http'}://${host}/bytes`, certificate.certPem)
    return Number(body)
  }
  const { all, missing: absent } = pushBlobTask(host, blob, { moved, ...(tls ? { ca: cert } : {}) })
  for (const name of absent) missing.add(name)
  rows.push(
    ...(await compete(`push one blob of ${values.size}, ${tls ? 'TLS' : 'HTTP'} sink`, all, {
      rounds,
      against: 'oras',
      log,
    })),
  )
  await sink.stop()
}

async function read(url: string, ca: string): Promise<string> {
  const { get } = url.startsWith('https') ? await import('node:https') : await import('node:http')
  const request = get(url, { ca } as Parameters<typeof get>[1])
  const [response] = (await once(request, 'response')) as [AsyncIterable<Buffer>]
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

function parseSize(text: string): number {
  const match = /^(\d+)(MiB|GiB)$/.exec(text)
  if (!match) throw new Error(`--size takes 512MiB or 2GiB, not ${text}`)
  return Number(match[1]) * (match[2] === 'GiB' ? 2 ** 30 : 2 ** 20)
}
