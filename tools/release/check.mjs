/**
 * npm run release:check [-- STEP ...] [--root DIR] [--out DIR]      STEP: lockfiles, sbom, signatures, images; default all
 *
 *   lockfiles   each locked package has its SHA-512
 *   sbom        OUT/sbom.cdx.json: what the image is made of, as CycloneDX, from the lockfile
 *   signatures  npm audit signatures: the registry's signature of each installed package
 *   images      OUT/Dockerfile and OUT/docker-compose.yaml, each image with the digest that its registry has now
 *
 * One line a step. Exit code 0: all is well; 1: something is wrong; 2: something could not be checked, most often as there is no
 * network. ROOT: this clone. OUT: ROOT/release.
 */
import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { pinImages } from './images.mjs'
import { checkLockfiles, checkSignatures, writeSbom } from './packages.mjs'

const STEPS = { lockfiles: checkLockfiles, sbom: writeSbom, signatures: checkSignatures, images: pinImages }
const CODES = { ok: 0, wrong: 1, unchecked: 2 }

async function main() {
  const options = { root: { type: 'string' }, out: { type: 'string' } }
  const { values, positionals } = parseArgs({ allowPositionals: true, options })
  const root = resolve(values.root ?? fileURLToPath(new URL('../..', import.meta.url)))
  const out = resolve(values.out ?? join(root, 'release'))
  const unknown = positionals.find((name) => !Object.hasOwn(STEPS, name))
  if (unknown !== undefined) throw new Error(`${unknown} is no step: ${Object.keys(STEPS).join(', ')}`)
  mkdirSync(out, { recursive: true })
  const names = positionals.length === 0 ? Object.keys(STEPS) : positionals
  const verdicts = []
  for (const name of names) {
    const { verdict, text } = await STEPS[name]({ root, out })
    process.stdout.write(`${name}: ${verdict === 'unchecked' ? 'NOT CHECKED' : verdict}: ${text}\n`)
    verdicts.push(verdict)
  }
  // What is wrong weighs more than what is not known.
  return CODES[['wrong', 'unchecked'].find((verdict) => verdicts.includes(verdict)) ?? 'ok']
}

process.exitCode = await main().catch((error) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  return 1
})
