/**
 * `npm run check:openapi`: openapi.yaml by redocly and spectral, which find different things; an error of either fails. Then
 * whether the types of the TypeScript client are current, and whether the client compiles.
 */
import { typesAreCurrent } from './types.mjs'
import { document, ensurePackages, folder, root, run } from './tools.mjs'

ensurePackages()
ensurePackages(`${root}clients/typescript`)
const spectral = ['lint', '--ruleset', `${folder}spectral.yaml`, '--fail-severity', 'error', document]
const codes = [
  run('@redocly/cli/bin/cli.js', 'lint', document, '--config', `${folder}redocly.yaml`, '--format', 'summary'),
  run('@stoplight/spectral-cli/dist/index.js', ...spectral),
  typesAreCurrent() ? 0 : 1,
  run('typescript/bin/tsc', '-p', `${root}clients/typescript`),
]
process.exit(Math.max(...codes))
