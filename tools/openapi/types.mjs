/** `npm run openapi` makes the types of clients/typescript from openapi.yaml. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { document, ensurePackages, root, run } from './tools.mjs'

const TYPES = `${root}clients/typescript/src/schema.d.ts`

function generate(target) {
  return run('openapi-typescript/bin/cli.js', document, '--output', target)
}

/** Whether the committed types are what openapi.yaml makes; says so where they are not. */
export function typesAreCurrent() {
  const scratch = mkdtempSync(join(tmpdir(), 'layerd-types-'))
  try {
    const made = join(scratch, 'schema.d.ts')
    if (generate(made) === 0 && readFileSync(made, 'utf8') === readFileSync(TYPES, 'utf8')) return true
    process.stderr.write('clients/typescript/src/schema.d.ts is older than openapi.yaml: npm run openapi\n')
    return false
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

if (import.meta.filename === process.argv[1]) {
  ensurePackages()
  process.exit(generate(TYPES))
}
