import { type PolicyRule, wrongMatch } from '../../jobs/model/policy.ts'
import { AppError } from '../../lib/errors.ts'
import { readRequest } from '../../trust/verification.ts'
import { type KeyNames, keyNamed } from './key-settings.ts'
import { at, later } from './package-reference.ts'

/** Whether a rule is one that workers can go by. Throws BODY_INVALID, KEY_INVALID, KEY_NOT_FOUND. */
export async function checkPolicyRule(rule: PolicyRule, keys: KeyNames): Promise<void> {
  const wrong = wrongMatch(rule)
  if (wrong !== undefined) {
    throw new AppError('BODY_INVALID', `"${wrong}" is not registry/repository`, {
      hint: 'For example ghcr.io/team/** or */mirror/*.',
      details: { pointer: `/match/${rule.match.indexOf(wrong)}` },
    })
  }
  const { verify = {} } = rule
  at('/verify', readRequest, verify)
  if (verify.keyRef !== undefined) await later('/verify/keyRef', keyNamed, { keys, name: verify.keyRef })
}
