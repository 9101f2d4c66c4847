import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type Oidc, type OidcSettings, openOidc } from '../../../src/access/oidc/oidc.ts'
import { type Logger, silentLogger } from '../../../src/lib/logger.ts'
import { issuerHttp } from '../../../src/roles/issuer-http.ts'
import { createStepClock, type StepClock } from '../step-clock.ts'
import { tempDir } from '../temp-dir.ts'
import { startIssuer, type TestIssuer } from './issuer.ts'

export const GROUPS = JSON.stringify([
  { group: '/UDS Core/Admin', scopes: ['*'] },
  { group: 'users', scopes: ['jobs:read'], limits: { registries: ['registry.example'] } },
])

export interface OpenedOidc {
  readonly issuer: TestIssuer
  readonly oidc: Oidc
  /** Of both. It stands still, at the time of day when it was made. */
  readonly clock: StepClock
  readonly groupsFile: string
  /** What was warned of. */
  readonly warned: string[]
  /** Name and scopes of whom a token lets in; else the code and text of the refusal, or undefined. */
  readonly letsIn: (token: string) => Promise<string | undefined>
}

/** layerd's side of a real issuer, over its real connections. */
export async function openedOidc(
  t: TestContext,
  settings: Partial<OidcSettings> = {},
  { env = {}, answerMs }: { env?: Record<string, string>; answerMs?: number } = {},
): Promise<OpenedOidc> {
  const groupsFile = join(await tempDir(t), 'groups.yaml')
  await writeFile(groupsFile, GROUPS)
  const clock = createStepClock(Date.now())
  const issuer = await startIssuer(t, clock)
  const warned: string[] = []
  const warn = ({ reason }: { reason: string }) => void warned.push(reason)
  const oidc = await openOidc({
    settings: {
      issuer: issuer.url,
      audience: 'layerd',
      clientId: undefined,
      clientSecret: undefined,
      scopes: 'openid profile email',
      groupsClaim: 'groups',
      groupsFile,
      ...settings,
    },
    http: issuerHttp({ env, version: '0.0.0', tracing: undefined }, answerMs),
    logger: Object.assign(Object.create(silentLogger) as Logger, { warn }),
    clock,
  })
  const letsIn = async (token: string) => {
    try {
      const principal = await oidc.source.authenticate(token)
      return principal && `${principal.name} ${[...principal.scopes].join()}`
    } catch (error) {
      const { code, message } = error as { code?: string; message: string }
      return `${code} ${message}`
    }
  }
  return { issuer, oidc, clock, groupsFile, warned, letsIn }
}
