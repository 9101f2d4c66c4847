import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { judge } from './imports.ts'
import { ROOMS } from './table.ts'

/** npm run check:imports: what src imports against the table beside this file. */
const problems = judge(fileURLToPath(new URL('../../src', import.meta.url)), ROOMS)
for (const problem of problems) process.stderr.write(`${problem}\n`)
if (problems.length > 0) process.stderr.write('test/structure/table.ts says who may import whom.\n')
process.exitCode = problems.length > 0 ? 1 : 0
