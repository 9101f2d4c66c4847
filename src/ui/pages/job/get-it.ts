import type { Job } from '../../api/types.ts'
import { quoted, TOKEN } from './as-curl.ts'

export interface GetItLine {
  readonly tool: string
  readonly line: string
}

/** How others get what a job has put somewhere. */
export function getItLines(
  { kind, result, options }: Job,
  { origin, token }: { origin: string; token: boolean },
): GetItLine[] {
  if (!result || result.plan) return []
  const { reference, architecture, archive, digest } = result
  if (archive !== undefined) {
    return [{ tool: 'curl', line: `curl -OJ ${token ? `${TOKEN} ` : ''}${quoted(origin + archive)}` }]
  }
  // A copy by patterns of tags has no one digest.
  if ((kind !== 'publish' && kind !== 'copy') || digest === '') return []
  const plain = options.plainHttp === true ? ' --plain-http' : ''
  const pulled = { tool: 'layerd', line: `layerd pull${plain} ${quoted(reference)}` }
  if (result.packages) return [{ tool: 'uds', line: `uds pull ${quoted(reference)}` }, pulled]
  const named = architecture === '' || architecture === 'multi' ? '' : ` -a ${quoted(architecture)}`
  const zarf = `zarf package pull${plain}${named} ${quoted(reference)}`
  return [
    { tool: 'zarf', line: zarf },
    { tool: 'uds', line: `uds ${zarf}` },
    ...(architecture === 'multi'
      ? []
      : [{ tool: 'oras', line: `oras pull${plain} ${quoted(byDigest(reference, digest))}` }]),
    pulled,
  ]
}

/** As it has one for each architecture under the tag, and oras would not know which. */
function byDigest(reference: string, digest: string): string {
  const repository = reference
    .replace(/^oci:\/\//, '')
    .replace(/@[^@]*$/, '')
    .replace(/:[^:/]*$/, '')
  return `${repository}@${digest}`
}
