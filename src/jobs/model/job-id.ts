import { randomBytes } from 'node:crypto'

/**
 * A UUIDv7: ids sort by the time of their making, also as text, so an id is its own place in a list. Within one
 * millisecond a process counts in rand_a, so that its ids never go backwards. Source: RFC 9562 sections 5.7 and 6.2.
 */
export function createJobIds(): (now: number) => string {
  let last = 0
  let counter = 0
  return (now) => {
    if (now > last) {
      last = now
      counter = randomBytes(2).readUInt16BE() & 0x3ff
    } else {
      counter += 1
      if (counter > 0xfff) {
        last += 1
        counter = 0
      }
    }
    const random = randomBytes(8)
    random[0] = ((random[0] ?? 0) & 0x3f) | 0x80
    return format(last, counter, random.toString('hex'))
  }
}

function format(ms: number, counter: number, tail: string): string {
  const time = ms.toString(16).padStart(12, '0')
  const version = (0x7000 | counter).toString(16)
  return `${time.slice(0, 8)}-${time.slice(8)}-${version}-${tail.slice(0, 4)}-${tail.slice(4)}`
}

/** Below every id made at `ms` or later and above every earlier one, as text. */
export function firstIdAt(ms: number): string {
  const time = Math.max(0, Math.floor(ms)).toString(16).padStart(12, '0')
  return `${time.slice(0, 8)}-${time.slice(8)}-`
}

const JOB_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

/** What is no job id cannot name a job; asking Redis for it could reach another key. */
export function isJobId(text: string): boolean {
  return JOB_ID.test(text)
}

/** When the job was made, milliseconds since the epoch. */
export function timeOfJobId(id: string): number {
  return Number.parseInt(`${id.slice(0, 8)}${id.slice(9, 13)}`, 16)
}
