import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import type { Job } from '../../src/jobs/model/definitions.ts'
import type { Cleanup } from '../helpers/cleanup.ts'
import { FIXTURES } from '../helpers/packages/fixtures.ts'
import { endedOver, readyUrl, startLayerd } from '../helpers/processes/layerd.ts'
import { startRedis } from '../helpers/redis/redis.ts'
import { type ScriptedServer, startScriptedServer } from '../helpers/registries/scripted-server.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

const USER = 'ann'
/** Each escape has something to do with it. */
const PASSWORD = 'Pä$s "w/rd+&<9>'
const TOKEN = `eyJhbGciOiJFUzI1NiJ9.${Buffer.from('{"access":"all of it"}').toString('base64url')}.c2lnbmF0dXJl`
const SIGNATURE = '5f1c7d0a9be84c31a6f2d4e8b7093c55'
const BASIC = Buffer.from(`${USER}:${PASSWORD}`).toString('base64')

/** What must be found nowhere, whole or in its telling half. */
const SECRETS: Readonly<Record<string, string>> = {
  password: PASSWORD,
  'in a URL': encodeURIComponent(PASSWORD),
  'in a form': new URLSearchParams({ p: PASSWORD }).toString().slice(2),
  'in JSON': JSON.stringify(PASSWORD).slice(1, -1),
  'in JSON of Go': JSON.stringify(PASSWORD).slice(1, -1).replaceAll('&', '\\u0026').replaceAll('<', '\\u003c'),
  'in HTML': PASSWORD.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;'),
  'in base64': Buffer.from(PASSWORD).toString('base64').replace(/=+$/, ''),
  header: BASIC.replace(/=+$/, ''),
  'half of the header': BASIC.slice(0, 16),
  token: TOKEN,
  'half of the token': TOKEN.slice(0, 30),
  signature: SIGNATURE,
}
const EVERYTHING = Object.values(SECRETS).join(' | ')

type Answer = (to: { request: IncomingMessage; response: ServerResponse; url: string; shown: string }) => void

const refuse = (response: ServerResponse, status: number, body: string, headers: Record<string, string> = {}) =>
  void response.writeHead(status, headers).end(body)
const oci = (code: string, message: string) => JSON.stringify({ errors: [{ code, message }] })

/** Registries that show the caller's secrets to whoever reads what they say. */
const REGISTRIES: Readonly<Record<string, Answer>> = {
  json: ({ response, shown }) => refuse(response, 403, oci('DENIED', `Authorization: ${shown}, that is ${PASSWORD}`)),
  code: ({ response }) => refuse(response, 403, oci(BASIC.slice(0, 16), 'no')),
  text: ({ response, shown }) => refuse(response, 400, `bad header "${shown}" ${EVERYTHING}`),
  html: ({ response, shown }) =>
    refuse(response, 403, `<html><p>${shown}</p><p>${SECRETS['in HTML']}</p></html>`, { 'content-type': 'text/html' }),
  passing: ({ response, shown }) => refuse(response, 503, oci('UNAVAILABLE', `${shown} ${SECRETS['in a URL']}`)),
  id: ({ response, shown }) => refuse(response, 403, oci('DENIED', 'no'), { 'x-request-id': `for ${shown}` }),
  headers: ({ response, shown, url }) =>
    refuse(response, 403, oci('DENIED', 'no'), {
      ...Object.fromEntries(
        ['server', 'via', 'etag', 'docker-upload-uuid', 'docker-content-digest', 'warning', 'x-cache', 'range'].map(
          (name) => [name, `"${shown}"`],
        ),
      ),
      'content-type': BASIC,
      location: `${url}/${BASIC}/${encodeURIComponent(PASSWORD)}?digest=${SIGNATURE}&scope=${BASIC}&${TOKEN}#${TOKEN}`,
      'www-authenticate': `${TOKEN} realm="x", Bearer realm="${url}/${BASIC}?sig=${SIGNATURE}",service="${BASIC}",error="${TOKEN}"`,
      'set-cookie': TOKEN,
    }),
  challenge: ({ response, shown }) =>
    refuse(response, 401, oci('UNAUTHORIZED', shown), {
      'www-authenticate': `Basic realm="${BASIC}", error="${TOKEN}", ${BASIC}`,
    }),
  realm: ({ response, url }) =>
    refuse(response, 401, '', {
      'www-authenticate': `Bearer realm="${url}/token/refuses/${BASIC}?sig=${SIGNATURE}",scope="repository:x:${BASIC}"`,
    }),
  'odd-token': ({ response, url }) =>
    refuse(response, 401, '', { 'www-authenticate': `Bearer realm="${url}/token/odd"` }),
  bearer: ({ request, response, url, shown }) =>
    request.headers.authorization?.startsWith('Bearer')
      ? refuse(response, 403, oci('DENIED', `${shown} may not`))
      : refuse(response, 401, '', { 'www-authenticate': `Bearer realm="${url}/token/gives"` }),
  location: ({ request, response, url }) =>
    request.method === 'POST'
      ? refuse(response, 202, '', { location: `${url}/v2/uploads/${BASIC}/${encodeURIComponent(PASSWORD)}?a=${BASIC}` })
      : refuse(response, request.method?.startsWith('P') ? 403 : 404, oci('DENIED', `not to ${request.url}`)),
  'no-location': ({ request, response }) =>
    request.method === 'POST'
      ? refuse(response, 202, '', { location: `x${TOKEN.slice(0, 19)}://${BASIC}` })
      : refuse(response, 404, ''),
  redirect: ({ request, response, url }) =>
    request.method === 'GET' && !request.url?.startsWith('/v2/')
      ? refuse(response, 403, `<Error><SignatureProvided>${SIGNATURE}</SignatureProvided></Error>`)
      : refuse(response, 307, '', {
          location: `${url}/${BASIC}/redirect/${encodeURIComponent(PASSWORD)}?X-Amz-Signature=${SIGNATURE}`,
        }),
  type: ({ response }) => refuse(response, 200, `{"mediaType":"${TOKEN}"}`, { 'content-type': `a/${TOKEN}` }),
}

/** Realms of these registries. */
const TOKEN_SERVICES: Readonly<Record<string, Answer>> = {
  refuses: ({ response, shown }) => refuse(response, 403, JSON.stringify({ details: `${shown} ${EVERYTHING}` })),
  odd: ({ response }) => refuse(response, 200, TOKEN),
  gives: ({ response }) => refuse(response, 200, JSON.stringify({ token: TOKEN })),
}

/** A registry of a host of its own: what is learnt of one says nothing of another. */
function startEcho(t: Cleanup, answer: Answer): Promise<ScriptedServer> {
  return startScriptedServer(t, (request, response) => {
    request.resume()
    const { url = '', headers } = request
    const shown = headers.authorization ?? 'nothing'
    const service = /^\/token\/([a-z]+)/.exec(url)?.[1]
    const asks = headers.authorization === undefined && service === undefined && url.startsWith('/v2/')
    if (asks || url === '/v2/') refuse(response, 401, '', { 'www-authenticate': 'Basic realm="echo"' })
    else (TOKEN_SERVICES[service ?? ''] ?? answer)({ request, response, url: `http://${headers.host}`, shown })
  })
}

test('what a registry repeats of a password, a token or a signature reaches no error, event, log line, trace or Redis', async (t) => {
  const redis = await startRedis(t, { tcp: true })
  const layerd = await startLayerd(t, {
    dataDir: await tempDir(t),
    env: {
      LAYERD_REDIS_URL: redis.url,
      LAYERD_FILE_ROOTS: dirname(FIXTURES.nemoAmd64),
      LAYERD_LOG_LEVEL: 'trace',
      LAYERD_WORKERS: '1',
    },
  })
  const api = await readyUrl(layerd)
  const submit = async (host: string, body: Record<string, unknown>): Promise<Job> => {
    const login = { username: USER, password: PASSWORD, serveraddress: host }
    const headers = {
      'content-type': 'application/json',
      'x-registry-auth': Buffer.from(JSON.stringify(login)).toString('base64'),
    }
    const response = await fetch(`${api}/v1/jobs`, { method: 'POST', headers, body: JSON.stringify(body) })
    assert.equal(response.status, 202)
    return (await response.json()) as Job
  }
  const read = async (path: string) => (await fetch(`${api}${path}`)).text()
  const all = async (id: string) =>
    (
      await Promise.all(
        ['', '/events', '/logs', '/transfers', '/trace.har'].map((part) => read(`/v1/jobs/${id}${part}`)),
      )
    ).join('\n')

  const jobs = new Map<string, Job>()
  for (const [name, answer] of Object.entries(REGISTRIES)) {
    const { host } = await startEcho(t, answer)
    const place = `oci://${host}/team`
    // Of one that fails the last requests are kept though nobody asked.
    const options = name === 'json' || name === 'location' ? {} : { trace: true }
    const publish = { kind: 'publish', source: `file:${FIXTURES.nemoAmd64}`, destination: place, options }
    const pull = { kind: 'pull', source: `${place}/nemo:1.2.0`, destination: 'store:', options }
    const { id } = await submit(host, name === 'redirect' || name === 'type' ? pull : publish)
    // This one would be tried for minutes: it is told while it waits.
    const told = name === 'passing' ? await waiting(api, id) : await endedOver(api, id)
    jobs.set(name, told)
    if (name === 'passing') await fetch(`${api}/v1/jobs/${id}/cancel`, JSON_POST)
    if (name === 'passing') await endedOver(api, id)
  }

  for (const [name, job] of jobs) {
    await t.test(`a registry that repeats it by way of: ${name}`, async () => {
      assert.equal(job.state, name === 'passing' ? 'running' : 'failed', JSON.stringify(job))
      const told = await all(job.id)
      assertClean(`${JSON.stringify(job)}\n${told}`)
      assert.match(told, /"_op":/, 'its requests are among that')
    })
  }
  await t.test('the errors still say what they may', () => {
    const json = jobs.get('json')?.error
    assert.match(json?.detail ?? '', /answered 403 DENIED: Authorization: Basic \*\*\*/)
    assert.equal(json?.upstream?.ociCode, 'DENIED')
    assert.match(jobs.get('passing')?.progress.reason ?? '', /answered 503 UNAVAILABLE: Basic \*\*\*/)
    assert.match(jobs.get('bearer')?.error?.detail ?? '', /DENIED: Bearer \*\*\* may not/)
    assert.match(jobs.get('location')?.error?.upstream?.url ?? '', /\/v2\/uploads\/\*\*\*\/\*\*\*\?…$/)
    assert.match(jobs.get('redirect')?.error?.upstream?.url ?? '', /\/\*\*\*\/redirect\/\*\*\*\?…$/)
  })
  await t.test('the log of all processes', () => assertClean(layerd.output()))
  await t.test('all that was ever written to Redis', async () => {
    const written = await writtenBy(dirname(redis.socketPath))
    assert.ok(written.includes(jobs.get('json')?.id ?? ''))
    assertClean(written)
  })
})

const JSON_POST = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' }

function waiting(api: string, id: string): Promise<Job> {
  return waitFor(`job ${id} to wait for another try`, async () => {
    const job = JSON.parse(await (await fetch(`${api}/v1/jobs/${id}`)).text()) as Job
    return job.progress.reason?.includes('503') ? job : undefined
  })
}

/** Redis's append-only files: each command, in clear. */
async function writtenBy(folder: string): Promise<string> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile())
  return (await Promise.all(files.map((file) => readFile(join(file.parentPath, file.name), 'utf8')))).join('\n')
}

function assertClean(text: string): void {
  // In JSON within JSON too.
  const texts = [text, text.replaceAll('\\"', '"'), text.replaceAll('\\\\', '\\')]
  const found = Object.entries(SECRETS).filter(([, secret]) => texts.some((read) => read.includes(secret)))
  const [, secret = ''] = found[0] ?? []
  const at = text.indexOf(secret)
  assert.deepEqual(
    found.map(([name]) => name),
    [],
    text.slice(Math.max(0, at - 300), at + 100),
  )
}
