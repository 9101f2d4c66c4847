/** Answers about who asks and what they may, as examples.ts has them. */
const POLICY = {
  name: 'team',
  match: ['registry.example/team/**'],
  verify: { keyRef: 'release' },
  kinds: ['pull', 'copy'],
  updatedAt: '2026-03-01T12:00:00.000Z',
}

export const ACCESS_EXAMPLES: Readonly<Record<string, unknown>> = {
  getSession: {
    principal: 'ci',
    scopes: ['jobs:read', 'jobs:write', 'packages:read'],
    limits: { repositories: ['registry.example/team/**'] },
    credential: { kind: 'file', id: null },
    expiresAt: null,
  },
  listPolicies: { items: [POLICY] },
  getPolicy: POLICY,
  putPolicy: POLICY,
  beginSession: {
    principal: 'ada',
    scopes: ['*'],
    limits: {},
    credential: { kind: 'session', id: '7vR1mZ5nXwq0s4tYb2KcJd8uLh3eGfPoAi6rBxNzQ9E' },
    expiresAt: '2026-03-08T12:00:00.000Z',
  },
}
