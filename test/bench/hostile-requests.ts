const MIB = 2 ** 20
const JOB = { kind: 'publish', source: 'file:/none.tar', destination: 'oci://127.0.0.1:1/team' }
const json = { 'content-type': 'application/json' }
const many = <T>(count: number, item: (at: number) => T): T[] => Array.from({ length: count }, (_, at) => item(at))
const post = (what: string, body: string): HostileRequest => ({
  what,
  path: '/v1/jobs',
  method: 'POST',
  headers: json,
  body,
})

export interface HostileRequest {
  what: string
  path: string
  method?: string
  headers?: Record<string, string>
  body?: string
}

/** Requests at the limits of the API: bodies of 1 MiB, heads of 16 KiB. */
export const REQUESTS: readonly HostileRequest[] = [
  post(
    'within: 900 unknown fields of 1 KiB',
    JSON.stringify({ ...JOB, ...Object.fromEntries(many(900, (at) => [`u${at}`, 'x'.repeat(1000)])) }),
  ),
  post('within: 4,900 labels in a list', JSON.stringify({ ...JOB, labels: many(4900, () => 1) })),
  post('within: 4,900 components', JSON.stringify({ ...JOB, options: { components: many(4900, (at) => `c${at}`) } })),
  post('a body of 1 MiB, lists in lists', `${'['.repeat(MIB / 2 - 1)}${']'.repeat(MIB / 2 - 1)}`),
  post('a body of 1 MiB, mappings in mappings', `${'{"a":'.repeat(MIB / 6)}1${'}'.repeat(MIB / 6)}`),
  post(
    'a body of 1 MiB, options that nest',
    JSON.stringify(JOB).replace('}', `,"options":${'{"a":'.repeat(150_000)}1${'}'.repeat(150_001)}`),
  ),
  post(
    'a body of 1 MiB, unknown fields',
    JSON.stringify({ ...JOB, ...Object.fromEntries(many(70_000, (at) => [`u${at}`, 1])) }),
  ),
  post(
    'a body of 1 MiB, labels',
    JSON.stringify({ ...JOB, labels: Object.fromEntries(many(60_000, (at) => [`l${at}`, 'v'])) }),
  ),
  post(
    'a body of 1 MiB, labels that are no text',
    JSON.stringify({ ...JOB, labels: Object.fromEntries(many(70_000, (at) => [`l${at}`, 1])) }),
  ),
  post(
    'a body of 1 MiB, components',
    JSON.stringify({ ...JOB, options: { components: many(150_000, (at) => `c${at}`) } }),
  ),
  post('a body of 1 MiB, a long source', JSON.stringify({ ...JOB, source: `file:${'/a%41'.repeat(190_000)}` })),
  post('a body of 1 MiB, a long destination', JSON.stringify({ ...JOB, destination: `oci://${'a.'.repeat(500_000)}` })),
  post('a body of 1 MiB, a long tag', JSON.stringify({ ...JOB, options: { tag: '-'.repeat(MIB - 500) } })),
  post('a body of 1 MiB, numbers', `[${'1,'.repeat(MIB / 2 - 2)}1]`),
  post('a body of 1 MiB, __proto__', `{${'"__proto__":1,'.repeat(70_000)}"a":1}`),
  ...many(1, () => ({ what: 'Accept of 15 KiB', path: '/v1/jobs', headers: { accept: 'a/b;q=0.1,'.repeat(1500) } })),
  { what: 'If-None-Match of 15 KiB', path: '/v1/jobs', headers: { 'if-none-match': '"a",'.repeat(3800) } },
  { what: 'Accept-Encoding of 15 KiB', path: '/v1/jobs', headers: { 'accept-encoding': 'a;q=0,'.repeat(2500) } },
  {
    what: 'X-Registry-Auth of 15 KiB',
    path: '/v1/remote-packages?ref=oci://127.0.0.1:1/a:b',
    headers: { 'x-registry-auth': Buffer.from('['.repeat(11_000)).toString('base64url') },
  },
  { what: 'Authorization of 15 KiB', path: '/v1/jobs', headers: { authorization: `Bearer ${'a '.repeat(7000)}` } },
  { what: 'a query of 15 KiB, parameters', path: `/v1/jobs?${'label=a:b&'.repeat(1500)}` },
  { what: 'a query of 15 KiB, one text', path: `/v1/jobs?q=${'a'.repeat(14_000)}` },
  { what: 'a path of 15 KiB', path: `/v1/jobs/${'%41/'.repeat(3500)}` },
  { what: 'traceparent of 15 KiB', path: '/v1/jobs', headers: { traceparent: '00-'.repeat(4900) } },
]
