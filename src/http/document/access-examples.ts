/** Answers about who asks and what they may, as examples.ts has them. */
export const ACCESS_EXAMPLES: Readonly<Record<string, unknown>> = {
  getSession: {
    principal: 'ci',
    scopes: ['jobs:read', 'jobs:write', 'packages:read'],
    limits: { repositories: ['registry.example/team/**'] },
    credential: { kind: 'file', id: null },
    expiresAt: null,
  },
}
