import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'

/** What of AWS's SDK a process has loaded once it is ready to serve jobs, and once it was asked for keys of AWS. */
const PROGRAM = `
import { _cache } from 'node:module'
const { createClouds } = await import('./src/oci/credentials/clouds/clouds.ts')
await import('./src/roles/worker.ts')
const loaded = () => Object.keys(_cache).filter((name) => name.includes('@aws-sdk')).length
const before = loaded()
const clouds = createClouds({ env: {}, call: async () => { throw new Error('no network') } })
const secret = { kind: 'aws', keys: { accessKeyId: 'A', secretAccessKey: 'B' }, metadata: false }
const way = { id: '', place: '', ca: undefined, clientCertificate: undefined, proxy: undefined, named: false }
const place = { id: '', registry: 'public.ecr.aws', plainHttp: false, way: { own: way, named: way } }
await clouds.credential(place, secret, { refused: undefined, signal: new AbortController().signal }).catch(() => {})
console.log(JSON.stringify([before, loaded() > 0]))
`

test("AWS's SDK is loaded once keys of AWS are used, and not before", async () => {
  const cwd = new URL('../../../../', import.meta.url)
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', PROGRAM], { cwd })
  assert.deepEqual(JSON.parse(stdout), [0, true])
})
