const TIME = '2026-03-01T12:00:00.000Z'

const TOKEN = {
  id: '5f0c1b7e9a3d2468',
  name: 'ci',
  scopes: ['jobs:write', 'uploads:write'],
  limits: { repositories: ['registry.example/team/**'], kinds: ['publish'] },
  description: 'publishes what main builds',
  createdAt: TIME,
  createdBy: 'ops',
  expiresAt: '2026-05-30T12:00:00.000Z',
  lastUsedAt: null,
}

/** Answers about who asks and what they may, as examples.ts has them. */
const POLICY = {
  name: 'team',
  match: ['registry.example/team/**'],
  verify: { keyRef: 'release' },
  kinds: ['pull', 'copy'],
  updatedAt: '2026-03-01T12:00:00.000Z',
}

const AUDITED = {
  id: 'd1772366400000-0',
  time: '2026-03-01T12:00:00.000Z',
  principal: 'ci',
  credential: { kind: 'file', id: null },
  address: '192.0.2.10',
  action: 'createJob',
  method: 'POST',
  route: '/v1/jobs',
  target: {
    kind: 'pull',
    source: 'oci://registry.example/team/nemo:1.2.0',
    job: '01a22857-3e6a-7196-8431-4336bc16b6e8',
  },
  outcome: 'succeeded',
  status: 202,
  code: null,
  requestId: 'c0ffee',
}

export const ACCESS_EXAMPLES: Readonly<Record<string, unknown>> = {
  getSession: {
    principal: 'ci',
    scopes: ['jobs:read', 'jobs:write', 'packages:read'],
    limits: { repositories: ['registry.example/team/**'] },
    credential: { kind: 'file', id: null },
    expiresAt: null,
  },
  listAudit: { items: [AUDITED] },
  listPolicies: { items: [POLICY] },
  getPolicy: POLICY,
  putPolicy: POLICY,
  beginSession: {
    principal: 'ada',
    scopes: ['*'],
    limits: {},
    credential: { kind: 'session', id: null },
    expiresAt: '2026-03-08T12:00:00.000Z',
  },
  listTokens: { items: [TOKEN] },
  getToken: TOKEN,
  createToken: { ...TOKEN, token: `ldt_${TOKEN.id}_${'x'.repeat(43)}` },
}
