import { once } from 'node:events'
import { copyFile, mkdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import process from 'node:process'
import { formatBytes } from '../../src/cli/view/format.ts'
import { barRenderer, lineRenderer } from '../../src/cli/view/renderers.ts'
import { terminalOf } from '../../src/cli/client/terminal.ts'
import { CleanupStack } from '../helpers/cleanup.ts'
import { registryPrograms, startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import { FIXTURES, publishedManifest } from '../helpers/packages/fixtures.ts'
import { readyUrl, startLayerd } from '../helpers/processes/layerd.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { type BuiltPackage, buildPackage } from '../helpers/packages/package-builder.ts'
import type { RunningProcess } from '../helpers/processes/processes.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { type DemoOptions, parseDemoOptions, USAGE } from './options.ts'
import { listArchive, listServedArchive } from './archives.ts'
import { type JobBody, runAndWatch } from './jobs.ts'
import { expectEqual, readBack } from './read-back.ts'

/** The main job for all to see: a registry, layerd, two packages published, read back and pulled. `npm run demo -- --help` */
async function demo(options: DemoOptions, stack: CleanupStack, interrupted: AbortSignal): Promise<void> {
  const data = await tempDir(stack, 'layerd-demo')
  const packages = join(data, 'packages')
  await mkdir(packages)
  const layerd = await launch(stack, data)
  const registry = await startRegistry(stack)
  const tryPackage = (path: string) => roundTrip(layerd, registry.url, path)
  try {
    const nemo = join(packages, basename(FIXTURES.nemoAmd64))
    await copyFile(FIXTURES.nemoAmd64, nemo)
    const { jobId, found, archive } = await tryPackage(nemo)
    if (!found.manifest.equals(publishedManifest('nemo'))) fail('the manifest of nemo is not the one that zarf pushed')
    say('  the manifest is the one that `zarf package publish` pushed, byte for byte')

    say(`\nmaking a package of ${formatBytes(options.bytes)} in ${options.layers} layers`)
    const large = await makeLargePackage(packages, options)
    const { found: read } = await tryPackage(large.path)
    for (const { path, digest } of large.files) expectEqual(`layer ${path}`, read.layers.get(path) ?? 'absent', digest)
    say('  every layer has the digest of the file it was made from')

    sayWhatToTry(layerd.api, registry.host, { jobId, nemo, archive })
  } catch (error) {
    if (!interrupted.aborted)
      say(`\nlayerd's last log lines:\n${layerd.child.output().split('\n').slice(-20).join('\n')}`)
    throw error
  }
  if (options.once || interrupted.aborted) return
  say('\nserving until Ctrl-C')
  await Promise.race([once(interrupted, 'abort'), layerd.child.exit.then(() => fail('layerd ended by itself'))])
}

interface Layerd {
  api: string
  child: RunningProcess
}

async function startRegistry(stack: CleanupStack): Promise<{ host: string; url: string }> {
  if (registryPrograms().length === 0) {
    const registry = await startMemoryRegistry()
    stack.after(() => registry.close())
    say(`registry: the tests' own, in this process, at ${registry.host} (no docker-registry or registry on PATH)`)
    return registry
  }
  const registry = await startDockerRegistry(stack)
  say(`registry: ${registry.program} ${registry.version} at ${registry.host}`)
  return registry
}

async function launch(stack: CleanupStack, dataDir: string): Promise<Layerd> {
  const child = await startLayerd(stack, { dataDir })
  const api = await readyUrl(child)
  say(`dashboard: ${api}/ (open it and watch)\n`)
  say(`layerd:   ${api} with a Redis of its own and its data in ${dataDir}`)
  return { api, child }
}

function runJob({ api }: Layerd, body: JobBody) {
  return runAndWatch(api, body, process.stderr.isTTY ? barRenderer(terminal) : lineRenderer(terminal))
}

/** Publishes, then reads it from the registry with plain requests, then pulls it and looks into the archive. */
async function roundTrip(layerd: Layerd, registryUrl: string, path: string) {
  say(`\npublishing ${basename(path)}`)
  const destination = `oci://${new URL(registryUrl).host}/demo`
  const { jobId, result } = await runJob(layerd, { kind: 'publish', source: `file:${encodeURI(path)}`, destination })
  say(`  ${result.reference}\n  ${result.digest}`)
  say(`  ${result.layers} layers, ${formatBytes(result.bytes)} in ${(result.durationMs / 1000).toFixed(1)} s`)
  const found = await readBack(registryUrl, result)
  expectEqual('the count of bytes', String(found.bytes), String(result.bytes))
  say(`  read back from the registry: ${found.blobs} blobs, ${formatBytes(found.bytes)}, every digest is right`)

  say(`pulling ${result.reference}`)
  const { result: pulled } = await runJob(layerd, { kind: 'pull', source: result.reference, destination: 'store:' })
  expectEqual('the digest of what was pulled', pulled.digest, result.digest)
  const archive = `${layerd.api}${pulled.archive}`
  const [served, original] = await Promise.all([listServedArchive(archive), listArchive(path)])
  expectEqual('the archive of what was pulled', served.join('\n'), original.join('\n'))
  say(`  ${formatBytes(pulled.bytes)} in ${(pulled.durationMs / 1000).toFixed(1)} s`)
  say(`  its archive holds the ${original.length} files of the package, every digest is right`)
  return { jobId, found, archive }
}

/** Uncompressed, so that its layers go up side by side; the other package shows the pass over a compressed one. */
function makeLargePackage(folder: string, { bytes, layers }: DemoOptions): Promise<BuiltPackage> {
  const layerBytes = Math.ceil(bytes / layers)
  return buildPackage(folder, { name: 'large', version: '1.0.0', format: 'tar', layers, layerBytes })
}

function sayWhatToTry(api: string, registry: string, first: { jobId: string; nemo: string; archive: string }): void {
  const { jobId, nemo, archive } = first
  say(`\nto try:
  curl -s ${api}/v1/jobs | jq
  curl -N '${api}/v1/jobs/${jobId}/events'
  curl -s ${api}/v1/jobs --json '{"kind":"publish","source":"file:${nemo}","destination":"oci://${registry}/again"}' | jq
  curl -s http://${registry}/v2/demo/nemo/tags/list
  curl -s ${api}/v1/packages | jq
  curl -OJ ${archive}
  ${api}/docs`)
}

const terminal = terminalOf({
  stdout: process.stdout,
  stderr: process.stderr,
  stdin: process.stdin,
  cwd: process.cwd(),
  env: { url: '', token: undefined },
  onInterrupt: () => () => undefined,
})

function say(text: string): void {
  process.stderr.write(`${text}\n`)
}

function fail(message: string): never {
  throw new Error(message)
}

async function main(): Promise<void> {
  if (process.argv.includes('--help')) return say(USAGE)
  const options = parseDemoOptions(process.argv.slice(2))
  const interrupt = new AbortController()
  // npm hands a Ctrl-C on a second time: it changes nothing, the clean-up is under way
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => interrupt.abort())
  try {
    await using stack = new CleanupStack()
    await Promise.race([
      demo(options, stack, interrupt.signal),
      once(interrupt.signal, 'abort').then(() => say('\nending')),
    ])
  } catch (error) {
    say(`\nfailed: ${error instanceof Error ? error.message : String(error)}`)
    process.exitCode = 1
    return
  }
  if (options.once) {
    if (interrupt.signal.aborted) process.exitCode = 130
    else say('\nall of it held')
  }
}

await main()
