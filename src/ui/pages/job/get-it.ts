import type { Job } from '../../api/types.ts'
import { quoted } from './as-curl.ts'

export interface GetItLine {
  readonly tool: string
  readonly line: string
}

/** How others get what a job has put somewhere. */
export function getItLines({ kind, result }: Job, origin: string): GetItLine[] {
  if (!result || result.plan) return []
  const { reference, architecture, archive } = result
  if (archive !== undefined) return [{ tool: 'curl', line: `curl -OJ ${quoted(origin + archive)}` }]
  if (kind !== 'publish' && kind !== 'copy') return []
  if (result.packages) return [{ tool: 'uds', line: `uds pull ${quoted(reference)}` }]
  const named = architecture === '' || architecture === 'multi' ? '' : ` -a ${quoted(architecture)}`
  return [
    { tool: 'zarf', line: `zarf package pull ${quoted(reference)}${named}` },
    { tool: 'oras', line: `oras manifest fetch ${quoted(reference.replace(/^oci:\/\//, ''))}` },
    { tool: 'layerd', line: `layerd pull ${quoted(reference)}` },
  ]
}
