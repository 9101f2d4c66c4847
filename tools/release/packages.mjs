/** The steps of a release check that look at npm packages. Each gives `{ verdict: 'ok' | 'wrong' | 'unchecked', text }`. */
import { spawnSync } from 'node:child_process'
import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export function checkLockfiles({ root }) {
  const paths = globSync('**/package-lock.json', { cwd: root, exclude: ['**/node_modules', '**/.git'] })
  const lacking = paths.flatMap((path) =>
    Object.entries(JSON.parse(readFileSync(join(root, path), 'utf8')).packages)
      .filter(([name, { link, integrity }]) => name.includes('node_modules/') && !link && !isSha512(integrity))
      .map(([name]) => `${name} of ${path}`),
  )
  if (lacking.length > 0) return { verdict: 'wrong', text: `no SHA-512 for ${lacking.join(', ')}` }
  return { verdict: paths.length > 0 ? 'ok' : 'wrong', text: `${paths.length} lockfiles` }
}

function isSha512(integrity) {
  return /^sha512-[A-Za-z0-9+/]{86}==$/.test(integrity ?? '')
}

/** From the lockfile alone: the same for every machine, and without a network. What the dashboard is built of is in it, too. */
export function writeSbom({ root, out }) {
  const args = ['sbom', '--sbom-format=cyclonedx', '--sbom-type=application', '--package-lock-only']
  const { status, stdout, stderr } = npm(args, root)
  if (status !== 0) return { verdict: 'wrong', text: `npm sbom failed: ${firstLine(stderr)}` }
  const sbom = withoutTools(JSON.parse(stdout))
  const { components } = sbom
  const bare = components.filter(({ hashes }) => !(hashes?.length > 0)).map(({ name }) => name)
  if (components.length === 0 || bare.length > 0) {
    return { verdict: 'wrong', text: `${components.length} packages, without a hash: ${bare.join(', ') || 'none'}` }
  }
  const path = join(out, 'sbom.cdx.json')
  writeFileSync(path, `${JSON.stringify(sbom, null, 2)}\n`)
  return { verdict: 'ok', text: `${components.length} packages in ${path}` }
}

/** npm's own --omit=dev leaves out what a workspace needs when a tool of development wants it, too. Workspaces are our own sources. */
function withoutTools(sbom) {
  const isTool = ({ properties = [] }) =>
    properties.some(({ name }) => name === 'cdx:npm:package:development' || name === 'cdx:npm:package:private')
  const components = (sbom.components ?? []).filter((component) => !isTool(component))
  const kept = new Set([sbom.metadata.component['bom-ref'], ...components.map((component) => component['bom-ref'])])
  const dependencies = (sbom.dependencies ?? [])
    .filter(({ ref }) => kept.has(ref))
    .map(({ ref, dependsOn = [] }) => ({ ref, dependsOn: dependsOn.filter((other) => kept.has(other)) }))
  return { ...sbom, components, dependencies }
}

/** How npm says that it got no answer from the registry or from sigstore's, whose keys it asks for. */
const UNREACHABLE = /\b(?:ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT|ENOTCACHED)\b/

export function checkSignatures({ root }) {
  const { status, signal, stdout, stderr } = npm(['audit', 'signatures', '--fetch-retries=1'], root)
  if (status === 0) return { verdict: 'ok', text: stdout.trim().replace(/\s*\n+/g, '; ') }
  const why = stderr.split('\n').find((line) => UNREACHABLE.test(line) && line.includes('request')) ?? ''
  if (UNREACHABLE.test(stderr)) {
    return { verdict: 'unchecked', text: `${why.replace(/^npm error (?:network )?/, '') || 'no network'}. Run it where it can be reached.` }
  }
  if (status === null) return { verdict: 'unchecked', text: `npm was ended by ${signal}. Run it again.` }
  return { verdict: 'wrong', text: `${stdout}${stderr}`.trim() || `npm ended with code ${status} and said nothing` }
}

/** npm as npm itself was called, else the one on PATH. */
function npm(args, cwd) {
  const own = process.env['npm_execpath']
  const [program, before] = own ? [process.execPath, [own]] : ['npm', []]
  const options = { cwd, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 }
  // Whoever called this with --silent still wants to know why it failed.
  const said = [...before, ...args, '--loglevel=error']
  const { status, signal, stdout, stderr, error } = spawnSync(program, said, options)
  return { status, signal, stdout: stdout ?? '', stderr: stderr || (error?.message ?? '') }
}

function firstLine(text) {
  return text.trim().split('\n')[0]
}
