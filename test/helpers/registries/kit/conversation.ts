import { createHash, randomBytes } from 'node:crypto'
import { type IncomingMessage, request as send } from 'node:http'
import { waitFor } from '../../wait-for.ts'

/** What one request was answered with, as far as it matters to a client. */
export type Line = readonly [what: string, answer: string]

interface Ask {
  readonly method: string
  readonly path: string
  readonly headers?: Record<string, string>
  readonly body?: Buffer | string
  /** Of unknown length. */
  readonly chunked?: boolean
  /** Breaks off once the bytes are written. */
  readonly cuts?: boolean
}

interface Said {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly text: string
}

const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const ARTIFACT = 'application/vnd.oci.artifact.manifest.v1+json'
const BYTES = { 'content-type': 'application/octet-stream' }
const REPOSITORY = '/v2/team/talk'

/** One scripted conversation with a registry (`http://host:port`), open to all. Source: registries.md 3 and 4, each [R] line. */
export async function converse(base: string): Promise<Line[]> {
  const lines: Line[] = []
  const tell = async (what: string, ask: Ask): Promise<Said> => {
    const said = await exchange(base, ask)
    lines.push([what, summary(said)])
    return said
  }
  await tell('ping', { method: 'GET', path: '/v2/' })
  await talkOfSessions(tell)
  await talkOfCuts(base, tell)
  await talkOfBlobs(tell)
  await talkOfManifests(tell)
  return lines
}

type Tell = (what: string, ask: Ask) => Promise<Said>

const locationOf = ({ headers }: Said): string => {
  const { pathname, search } = new URL(headers.location ?? '', 'http://registry')
  return `${pathname}${search}`
}
const withDigest = (path: string, digest: string) => `${path}${path.includes('?') ? '&' : '?'}digest=${digest}`
const opening: Ask = { method: 'POST', path: `${REPOSITORY}/blobs/uploads/`, headers: { 'content-length': '0' } }

async function talkOfSessions(tell: Tell): Promise<void> {
  const opened = locationOf(await tell('a session is opened', opening))
  const patch = (path: string, body: string, more: Partial<Ask> = {}): Ask => ({
    method: 'PATCH',
    path,
    body,
    ...more,
    headers: { ...BYTES, ...more.headers },
  })
  const first = locationOf(await tell('bytes of unknown length', patch(opened, 'hello', { chunked: true })))
  await tell('bytes to the earlier Location', patch(opened, 'other'))
  const range = (value: string) => ({ headers: { 'content-range': value } })
  const second = locationOf(await tell('bytes where it stands', patch(first, 'world', range('5-9'))))
  await tell('where it stands, by the newest Location', { method: 'GET', path: second })
  await tell('where it stands, by the first Location', { method: 'GET', path: opened })
  await tell('where it stands, by HEAD', { method: 'HEAD', path: second })
  await tell('bytes of another type', patch(second, 'x', { headers: { 'content-type': 'text/plain' } }))
  await tell('a commit without a digest', { method: 'PUT', path: second, headers: { 'content-length': '0' } })
  const commit = (path: string, digest: string): Ask => ({
    method: 'PUT',
    path: withDigest(path, digest),
    headers: { ...BYTES, 'content-length': '0' },
  })
  await tell('a commit with a wrong digest', commit(second, digestOf('other')))
  const standing = await exchangeAgain(tell, second)
  await tell('a commit', commit(standing, digestOf('helloworld')))
  await tell('a commit again', commit(second, digestOf('helloworld')))
  for (const [what, value] of [
    ['behind where it stands', '100-104'],
    ['with a unit', 'bytes 0-4'],
    ['with a total', '0-4/5'],
    ['of another length', '0-9'],
  ] as const) {
    const fresh = locationOf(await tell(`for a range ${what}`, opening))
    const after = await tell(`a range ${what}`, patch(fresh, 'hello', range(value)))
    await tell(`and given up`, { method: 'DELETE', path: after.headers.location ? locationOf(after) : fresh })
  }
  const empty = locationOf(await tell('for nothing', opening))
  const still = locationOf(await tell('no bytes', patch(empty, '', { headers: { 'content-length': '0' } })))
  await tell('given up', { method: 'DELETE', path: still })
  await tell('where it stood', { method: 'GET', path: still })
}

/** Where the session goes on after a commit was refused. */
async function exchangeAgain(tell: Tell, path: string): Promise<string> {
  const said = await tell('where it stands after that', { method: 'GET', path })
  return said.headers.location === undefined ? path : locationOf(said)
}

async function talkOfCuts(base: string, tell: Tell): Promise<void> {
  const opened = locationOf(await tell('for a cut', opening))
  await exchange(base, {
    method: 'PATCH',
    path: opened,
    headers: BYTES,
    body: randomBytes(300_000),
    chunked: true,
    cuts: true,
  })
  // What had arrived counts a little later.
  await waitFor('the registry to have seen the cut', async () => {
    const { status, headers } = await exchange(base, { method: 'GET', path: opened })
    return status >= 400 || (headers.range ?? '0-0') !== '0-0'
  })
  const said = await exchange(base, { method: 'GET', path: opened })
  await tell('after a cut', { method: 'HEAD', path: said.headers.location ? locationOf(said) : opened })
}

async function talkOfBlobs(tell: Tell): Promise<void> {
  const blob = (path: string, headers: Record<string, string> = {}): Ask => ({ method: 'GET', path, headers })
  const known = `${REPOSITORY}/blobs/${digestOf('helloworld')}`
  await tell('a blob is looked for', { method: 'HEAD', path: known })
  await tell('a blob', blob(known))
  await tell('its middle', blob(known, { range: 'bytes=2-4' }))
  await tell('its end', blob(known, { range: 'bytes=5-' }))
  await tell('a blob that is not there', blob(`${REPOSITORY}/blobs/${digestOf('none')}`))
  const query = (path: string, more: Partial<Ask> = {}): Ask => ({ ...opening, path, ...more })
  const whole = { body: 'whole', headers: BYTES }
  await tell('a blob in one request', query(`${opening.path}?digest=${digestOf('whole')}`, whole))
  const other = '/v2/team/other/blobs/uploads/'
  await tell('a mount', query(`${other}?mount=${digestOf('helloworld')}&from=team/talk`))
  await tell('a mount of what is not there', query(`${other}?mount=${digestOf('none')}&from=team/talk`))
  await tell('a mount from anywhere', query(`${other}?mount=${digestOf('helloworld')}`))
  const opened = locationOf(await tell('for sha512', opening))
  const digest = `sha512:${createHash('sha512').update('sha512').digest('hex')}`
  await tell('a blob by sha512', { method: 'PUT', path: withDigest(opened, digest), body: 'sha512', headers: BYTES })
}

async function talkOfManifests(tell: Tell): Promise<void> {
  const path = (reference: string) => `${REPOSITORY}/manifests/${reference}`
  const config = { mediaType: 'application/vnd.test.config.v1+json', digest: digestOf('helloworld'), size: 10 }
  const body = JSON.stringify({ schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: [] })
  const put = (reference: string, content: string, type = OCI_MANIFEST): Ask => ({
    method: 'PUT',
    path: path(reference),
    body: content,
    headers: { 'content-type': type },
  })
  const accept = { accept: OCI_MANIFEST }
  await tell('no manifest yet', { method: 'GET', path: path('v1'), headers: accept })
  await tell('a manifest under a tag', put('v1', body))
  await tell('the same again', put('v1', body))
  await tell('the same by its digest', put(digestOf(body), body))
  await tell('another by that digest', put(digestOf(body), body.replace('"layers"', ' "layers"')))
  await tell('one that names what is not there', put('v2', body.replaceAll(digestOf('helloworld'), digestOf('none'))))
  await tell('one that is no JSON', put('v2', 'no JSON'))
  const blobs = JSON.stringify({ mediaType: ARTIFACT, artifactType: 'application/vnd.test', blobs: [config] })
  await tell('an artifact manifest', put(digestOf(blobs), blobs, ARTIFACT))
  await tell('a type that nobody knows', put('v2', body, 'application/vnd.test.manifest.v1+json'))
  await tell('more than 4 MiB', put('v2', ' '.repeat(4 * 1024 * 1024 + 1)))
  await tell('a manifest', { method: 'GET', path: path('v1'), headers: accept })
  await tell('a manifest by HEAD', { method: 'HEAD', path: path('v1'), headers: accept })
  await tell('a manifest that nobody accepts', { method: 'GET', path: path('v1') })
  await tell('a manifest by its digest', { method: 'GET', path: path(digestOf(body)), headers: accept })
  const etag = { ...accept, 'if-none-match': `"${digestOf(body)}"` }
  await tell('a manifest that is known', { method: 'GET', path: path('v1'), headers: etag })
  await tell('another tag', put('v2', body))
  await tell('tags', { method: 'GET', path: `${REPOSITORY}/tags/list` })
  await tell('one tag', { method: 'GET', path: `${REPOSITORY}/tags/list?n=1` })
  await tell('the tags behind it', { method: 'GET', path: `${REPOSITORY}/tags/list?n=1&last=v1` })
  await tell('tags of nothing', { method: 'GET', path: '/v2/team/nothing/tags/list' })
  await tell('referrers', { method: 'GET', path: `${REPOSITORY}/referrers/${digestOf(body)}` })
  await tell('a tag is deleted', { method: 'DELETE', path: path('v2') })
  await tell('a manifest is deleted', { method: 'DELETE', path: path(digestOf(body)) })
  await tell('a blob is deleted', { method: 'DELETE', path: `${REPOSITORY}/blobs/${digestOf('helloworld')}` })
}

function digestOf(text: string): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`
}

/** Status, the codes of its errors, and the headers that a client goes by; nothing that differs from run to run. */
function summary({ status, headers, text }: Said): string {
  const shape = headers.location === undefined ? [] : [/^https?:/.test(headers.location) ? 'absolute' : 'relative']
  const told = ['range', 'content-range', 'docker-content-digest', 'oci-subject', 'link'] as const
  const values = told.flatMap((name) => (headers[name] === undefined ? [] : [`${name}: ${String(headers[name])}`]))
  return [status, ...codesOf(text), ...shape, ...values].join(' ')
}

function codesOf(text: string): string[] {
  try {
    const { errors, tags } = JSON.parse(text) as { errors?: { code: string }[]; tags?: string[] }
    return [...(errors ?? []).map(({ code }) => code), ...(tags ?? [])]
  } catch {
    return []
  }
}

function exchange(base: string, { method, path, headers = {}, body, chunked, cuts }: Ask): Promise<Said> {
  const bytes = body === undefined ? undefined : Buffer.from(body)
  const length = chunked || bytes === undefined ? {} : { 'content-length': String(bytes.length) }
  return new Promise((resolve, reject) => {
    const cut = { status: 0, headers: {}, text: '' }
    const request = send(`${base}${path}`, { method, headers: { ...length, ...headers }, agent: false })
    request.once('error', (error) => (cuts ? resolve(cut) : reject(error)))
    request.once('response', (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => void chunks.push(chunk))
      response.once('error', reject)
      response.once('end', () => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text: Buffer.concat(chunks).toString() })
      })
    })
    if (!cuts) request.end(bytes)
    else request.write(bytes, () => void setTimeout(() => request.destroy(), 100))
  })
}
