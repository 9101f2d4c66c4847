import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fastify } from 'fastify'
import { createAuthenticator } from '../../../../src/access/authenticator.ts'
import { authPlugin } from '../../../../src/http/plugins/auth.ts'
import { jobSightPlugin } from '../../../../src/http/plugins/job-sight.ts'

test('a route about a job that does not say what becomes of it ends the start', async (t) => {
  const app = fastify()
  t.after(() => app.close())
  await app.register(authPlugin, { authenticator: createAuthenticator([]) })
  await app.register(jobSightPlugin, { queue: { get: async () => undefined } })
  const config = { scope: ['jobs:read'] } as const
  const answer = async () => 'seen'
  assert.throws(() => app.get('/v1/jobs/:id/secrets', { config }, answer), /GET \/v1\/jobs\/:id\/secrets does not say/)
  assert.throws(() => app.delete('/v1/jobs/:other', { config }, answer), /DELETE \/v1\/jobs\/:other does not say/)
  app.get('/v1/jobs', { config }, answer)
  app.get('/v1/jobs/:id/told', { config: { ...config, job: 'looked-at' } }, answer)
  assert.equal((await app.inject('/v1/jobs/x/told')).json<{ code: string }>().code, 'JOB_NOT_FOUND')
})
