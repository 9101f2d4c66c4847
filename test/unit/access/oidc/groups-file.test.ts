import assert from 'node:assert/strict'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { followGroupsFile, ruleFor } from '../../../../src/access/oidc/groups-file.ts'
import { silentLogger } from '../../../../src/lib/logger.ts'
import { createStepClock } from '../../../helpers/step-clock.ts'
import { tempDir } from '../../../helpers/temp-dir.ts'

test('groups are read from YAML and JSON, names with spaces and slashes among them, and the first that matches counts', async (t) => {
  const path = join(await tempDir(t), 'groups.yaml')
  await writeFile(
    path,
    `- group: /UDS Core/Admin
  scopes: ["*"]
- group: contractors
  scopes: []
- group: team
  scopes: [jobs:write, packages:write]
  limits: {registries: [ghcr.io], repositories: ["ghcr.io/team/**"], kinds: [pull]}
`,
  )
  const clock = createStepClock()
  const file = await followGroupsFile({ path, logger: silentLogger, clock })
  const found = async (...groups: string[]) => {
    const rule = ruleFor(await file.entries(), groups)
    return rule && [rule.group, [...rule.scopes].join(), rule.limits]
  }
  assert.deepEqual(await found('team', '/UDS Core/Admin'), ['/UDS Core/Admin', '*', {}])
  assert.deepEqual(await found('team', 'contractors'), ['contractors', '', {}])
  const limits = { registries: ['ghcr.io'], repositories: ['ghcr.io/team/**'], kinds: ['pull'] }
  assert.deepEqual(await found('team'), ['team', 'jobs:write,packages:write', limits])
  for (const stranger of ['Team', 'team ', '/UDS Core', '', '__proto__']) assert.equal(await found(stranger), undefined)
  await writeFile(path, JSON.stringify([{ group: 'team', scopes: ['jobs:read'] }]))
  assert.deepEqual(await found('team'), ['team', 'jobs:read', {}])
  // A broken file takes nothing away for a minute, and then everything.
  await writeFile(path, JSON.stringify([{ group: 'team', scopes: ['jobs:raed'] }]))
  assert.deepEqual(await found('team'), ['team', 'jobs:read', {}])
  clock.advance(60_000)
  assert.equal(await found('team'), undefined)
  await rm(path)
  assert.equal(await found('team'), undefined)
  await writeFile(path, JSON.stringify([{ group: 'team', scopes: ['*'] }]))
  assert.deepEqual(await found('team'), ['team', '*', {}])
})

test('a file that is not a list of groups ends the start, and says where', async (t) => {
  const path = join(await tempDir(t), 'groups.yaml')
  const cases: ReadonlyArray<readonly [string, RegExp]> = [
    ['', /LAYERD_OIDC_GROUPS_FILE: .*groups\.yaml: /],
    ['[]', /\/ must not have fewer than 1 items/],
    ['{}', /\/ must be array/],
    ['- [', /line \d+ is not YAML/],
    ['- {group: a}', /\/0 must have required properties scopes/],
    ['- {group: "", scopes: []}', /\/0\/group/],
    ['- {group: a, scopes: [jobs:raed]}', /\/0\/scopes: there is no scope "jobs:raed"/],
    ['- {group: a, scopes: ["jobs:*"]}', /there is no scope "jobs:\*"/],
    ['- {group: a, scopes: ["*"], limits: {repositories: [ghcr.io]}}', /"ghcr\.io" is not registry\/repository/],
    ['- {group: a, scopes: ["*"], limits: {registries: []}}', /\/0\/limits\/registries/],
    ['- {group: a, scopes: ["*"], limits: {registrys: [a]}}', /\/0\/limits/],
    ['- {group: a, scopes: ["*"], limit: {}}', /\/0/],
    [`[${'['.repeat(100_000)}`, /LAYERD_OIDC_GROUPS_FILE/],
    [' '.repeat(5 * 1024 * 1024), /has more than 4 MiB/],
  ]
  for (const [text, message] of cases) {
    await writeFile(path, text)
    const opening = followGroupsFile({ path, logger: silentLogger, clock: createStepClock() })
    await assert.rejects(opening, { code: 'CONFIG_INVALID', message }, text.slice(0, 80))
  }
  await rm(path)
  const opening = followGroupsFile({ path, logger: silentLogger, clock: createStepClock() })
  await assert.rejects(opening, { code: 'CONFIG_INVALID', message: /groups file .* cannot be read/ })
})
