import type { ServerResponse } from 'node:http'
import type { Cleanup } from '../helpers/cleanup.ts'
import { startScriptedServer } from '../helpers/registries/scripted-server.ts'

const MIB = 2 ** 20

/** Answers of a registry to whatever is asked of a repository, by the repository's name. */
const ANSWERS: Readonly<Record<string, (response: ServerResponse, path: string) => void>> = {
  'tags-within': (response) => json(response, withinTags(199_000)),
  'tags-within-199-pages'(response, path) {
    const page = Number(/page=(\d+)/.exec(path)?.[1] ?? 0)
    if (page < 198) response.setHeader('link', `</v2/tags-within-199-pages/tags/list?page=${page + 1}>; rel="next"`)
    json(response, withinTags(1000, page))
  },
  'tags-one-page': (response) => json(response, tags(4 * MIB, 0)),
  'tags-32-mib': (response) => json(response, tags(32 * MIB - 1024, 0)),
  'tags-32-mib-of-nothing': (response) => json(response, `{"tags":null,"x":[${'1,'.repeat(15.9 * MIB)}1]}`),
  'tags-1000-pages'(response, path) {
    const page = Number(/page=(\d+)/.exec(path)?.[1] ?? 0)
    const next = `</v2/tags-1000-pages/tags/list?page=${page + 1}>; rel="next"`
    response.setHeader('link', next)
    json(response, tags(32 * 1024, page))
  },
  'error-page': (response) => response.writeHead(403, { 'content-type': 'text/html' }).end('<p>'.repeat(10 * MIB)),
  'error-json': (response) =>
    json(response, JSON.stringify({ errors: [{ code: 'DENIED', message: '\u0001<'.repeat(7000), detail: {} }] }), 403),
  'error-json-deep': (response) => json(response, `{"errors":${'['.repeat(32_000)}${']'.repeat(32_000)}}`, 403),
  challenge: (response) =>
    response.writeHead(401, { 'www-authenticate': `Bearer ${fillHeader('a="b",')}realm="x"` }).end(),
  'challenge-of-schemes': (response) => response.writeHead(401, { 'www-authenticate': fillHeader('A, ') }).end(),
  'challenge-open-quote': (response) =>
    response.writeHead(401, { 'www-authenticate': `Bearer realm="${fillHeader('\\"')}` }).end(),
  'link-header'(response) {
    response.setHeader('link', fillHeader('<a>; b="c", '))
    json(response, tags(1024, 0))
  },
  'manifest-in-chunks-of-a-byte': (response) =>
    response.socket?.end(`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${'1\r\n{\r\n'.repeat(2 * MIB)}`),
  'manifest-deep': (response) => manifest(response, `${'['.repeat(2 * MIB)}${']'.repeat(2 * MIB)}`),
  'manifest-numbers': (response) => manifest(response, `{"layers":[${'1,'.repeat(2 * MIB - 20)}1]}`),
  'manifest-annotations': (response) =>
    manifest(response, `{"schemaVersion":2,"annotations":{${pairs(3.9 * MIB)}},"config":null,"layers":[]}`),
  'manifest-within-values': (response) => manifest(response, `{"layers":[${'1,'.repeat(149_000)}1]}`),
  'manifest-within-keys': (response) =>
    manifest(response, `{"schemaVersion":2,"annotations":{${pairs(70_000)}},"config":null,"layers":[]}`),
  'index-within': (response) => manifest(response, `{"schemaVersion":2,"manifests":[${entries(3 * MIB)}]}`, 'index'),
  'index-large': (response) => manifest(response, `{"schemaVersion":2,"manifests":[${entries(3.9 * MIB)}]}`, 'index'),
}

export async function startHostileRegistry(t: Cleanup): Promise<{ host: string; repositories: readonly string[] }> {
  const { host } = await startScriptedServer(t, ({ url = '' }, response) => {
    const name = url.split('/')[2] ?? ''
    const answer = ANSWERS[name]
    if (answer) answer(response, url)
    else response.writeHead(404).end()
  })
  return { host, repositories: Object.keys(ANSWERS) }
}

/** Node sends no longer header, and layerd takes no head beyond 64 KiB. */
function fillHeader(piece: string): string {
  return piece.repeat(Math.floor((60 * 1024) / piece.length))
}

function json(response: ServerResponse, text: string, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(text)
}

function manifest(response: ServerResponse, text: string, kind: 'manifest' | 'index' = 'manifest'): void {
  response.writeHead(200, { 'content-type': `application/vnd.oci.image.${kind}.v1+json` }).end(text)
}

function tags(bytes: number, page: number): string {
  const names: string[] = []
  for (let length = 0, at = 0; length < bytes - 20; at += 1) {
    const name = `"${page.toString(36)}.${at.toString(36)}"`
    names.push(name)
    length += name.length + 1
  }
  return `{"name":"x","tags":[${names.join(',')}]}`
}

function withinTags(count: number, page = 0): string {
  return JSON.stringify({ tags: Array.from({ length: count }, (_, at) => `${page}.${at}`.padEnd(17, 'x')) })
}

function pairs(bytes: number): string {
  const found: string[] = []
  for (let length = 0, at = 0; length < bytes; at += 1) {
    const pair = `"${at.toString(36)}":""`
    found.push(pair)
    length += pair.length + 1
  }
  return found.join(',')
}

function entries(bytes: number): string {
  const entry = (at: number) =>
    `{"mediaType":"a","digest":"sha256:${at.toString(16).padStart(64, '0')}","size":1,"platform":{"architecture":"a${at}","os":"multi"}}`
  return Array.from({ length: Math.floor(bytes / entry(10_000).length) }, (_, at) => entry(at)).join(',')
}
