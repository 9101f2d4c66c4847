import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { pipeTerminal, runCommand } from '../../helpers/processes/cli-program.ts'
import { tempDir } from '../../helpers/temp-dir.ts'

async function scriptFor(shell: string): Promise<string> {
  const io = pipeTerminal()
  assert.equal(await runCommand(['completion', shell], io.terminal), 0)
  return io.out()
}

test('bash completes commands, options and the ids of jobs', async (t) => {
  const folder = await tempDir(t)
  const script = join(folder, 'layerd.bash')
  await writeFile(script, await scriptFor('bash'))
  const answers = [
    '[ "$1 $2" = "jobs --quiet" ] && echo 01a22857-3e6a-7196',
    '[ "$1 $2" = "files --quiet" ] && echo /packages/nemo.tar',
  ]
  await writeFile(join(folder, 'layerd'), `#!/bin/sh\n${answers.join('\n')}\n`)
  await chmod(join(folder, 'layerd'), 0o755)
  const complete = async (...words: string[]) => {
    const quoted = words.map((word) => `'${word}'`).join(' ')
    const line = `source ${script}; COMP_WORDS=(layerd ${quoted}); COMP_CWORD=${words.length}; _layerd; echo "\${COMPREPLY[@]}"`
    const env = { ...process.env, PATH: `${folder}:${process.env['PATH']}` }
    return (await promisify(execFile)('bash', ['-c', line], { env })).stdout.trim()
  }
  assert.equal(await complete('pu'), 'publish pull push')
  assert.equal(await complete('jobs', '--st'), '--state')
  assert.equal(await complete('inspect', 'oci://r.example/a:1', 'man'), 'manifests')
  assert.equal(await complete('watch', '01'), '01a22857-3e6a-7196')
  assert.equal(await complete('watch', '--q'), '--quiet')
  assert.equal(await complete('store', 'c'), 'check')
  assert.equal(await complete('store', 'check', '--re'), '--repair')
  assert.equal(await complete('keys', 'a'), 'add')
  assert.equal(await complete('keys', 'add', '--km'), '--kms')
  assert.equal(await complete('publish', '--si'), '--sign')
  assert.equal(await complete('publish', '/pack'), '/packages/nemo.tar')
})

for (const shell of ['zsh', 'fish']) {
  const missing = spawnSync(shell, ['--version']).error !== undefined
  test(`the script for ${shell} parses`, { skip: missing && `no ${shell} here` }, async (t) => {
    const path = join(await tempDir(t), `layerd.${shell}`)
    await writeFile(path, await scriptFor(shell))
    await promisify(execFile)(shell, ['-n', path])
  })
}

test('zsh and fish get each command with what it does', async () => {
  assert.match(await scriptFor('zsh'), /'publish:publish a package, a UDS bundle or a Helm chart'/)
  assert.match(
    await scriptFor('fish'),
    /complete -c layerd -n '__fish_use_subcommand' -f -a publish -d 'publish a package, a UDS bundle or a Helm chart'/,
  )
})
