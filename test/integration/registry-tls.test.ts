import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { createCertificate } from '../helpers/network/certificate.ts'
import type { Cleanup } from '../helpers/cleanup.ts'
import { type Script, startScriptedServer } from '../helpers/registries/scripted-server.ts'
import { tempDir } from '../helpers/temp-dir.ts'

const child = fileURLToPath(new URL('../helpers/network/tls-child.ts', import.meta.url))

/** What a process that got our certificate in NODE_EXTRA_CA_CERTS makes of an https registry. Node reads it at its start only. */
async function askOverTls(t: Cleanup, script: Script): Promise<string> {
  const certificate = createCertificate()
  const path = join(await tempDir(t, 'tls'), 'ca.pem')
  await writeFile(path, certificate.certPem)
  const registry = await startScriptedServer(t, script, { tls: certificate })
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: path }
  const { stdout } = await promisify(execFile)(process.execPath, [child, registry.host], { env })
  return stdout.trim()
}

test('a CA in NODE_EXTRA_CA_CERTS is trusted, and https is found on loopback too', async (t) => {
  assert.equal(await askOverTls(t, (_incoming, response) => response.end('{}')), '200 https:')
})

test('auth.realm-ssrf: a registry on https cannot send its users to a token service without', async (t) => {
  const spy = await startScriptedServer(t, (_incoming, response) => response.end('{"token":"t"}'))
  const challenge = `Bearer realm="${spy.url}/token",service="x"`
  const answer = await askOverTls(t, (_incoming, response) =>
    response.writeHead(401, { 'www-authenticate': challenge }).end(),
  )
  assert.equal(answer, 'REGISTRY_NOT_ALLOWED')
  assert.deepEqual(spy.requests, [])
})
