import { trimEndOf, withoutUnseen } from '../lib/text.ts'
import type { OnEvent } from '../transfer/events.ts'

/** Of what registries may say in all. Source: OCI distribution-spec v1.1.1 "Warnings", for one answer. */
const KEPT_BYTES = 4096

/**
 * Puts what registries say beside their answers into the job's log, each text once; what is beyond 4096 bytes in all is cut
 * off. The record's script does the same for what several runs of a job are told (emit in record.lua).
 */
export function tellWarnings(onEvent: OnEvent): (registry: string, text: string) => void {
  const told = new Set<string>()
  let left = KEPT_BYTES
  return (registry, text) => {
    const said = withoutUnseen(text).trim()
    if (left === 0 || said === '') return
    const message = start(`${registry} says: ${said}`, left)
    if (told.has(message)) return
    told.add(message)
    left -= Buffer.byteLength(message)
    onEvent({ type: 'warning', code: 'REGISTRY_WARNING', message })
  }
}

/** At most so many bytes of it, and no half of a character. */
function start(text: string, bytes: number): string {
  const whole = Buffer.from(text)
  if (whole.length <= bytes) return text
  return trimEndOf(whole.subarray(0, bytes).toString('utf8'), '\ufffd')
}
