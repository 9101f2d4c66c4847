import type { IncomingHttpHeaders } from 'node:http'
import { AppError } from '../../../lib/errors.ts'

const HEADERS = ['content-digest', 'repr-digest'] as const
const SHA256_BYTES = 32

/**
 * The SHA-256, hexadecimal, that Content-Digest and Repr-Digest say the body has: the same, where a body comes whole and
 * uncompressed. Other algorithms are passed over, as they may be. Throws REQUEST_INVALID, BODY_DIGEST_MISMATCH when the two
 * differ. Source: RFC 9530.
 */
export function readBodyDigest(headers: IncomingHttpHeaders): string | undefined {
  const [first, second] = HEADERS.flatMap((name) => {
    const sha256 = sha256Of(headers[name], name)
    return sha256 === undefined ? [] : [sha256]
  })
  if (second === undefined || second === first) return first
  throw new AppError('BODY_DIGEST_MISMATCH', 'Content-Digest and Repr-Digest name two digests for one body', {
    details: { contentDigest: first, reprDigest: second },
  })
}

function sha256Of(header: string | string[] | undefined, name: string): string | undefined {
  const members = [header ?? []].flat().flatMap((line) => line.split(','))
  const values = members.map((member) => member.trim()).filter((member) => /^sha-256(?:=|$)/.test(member))
  // Of a key that comes twice the last one counts (RFC 9651 section 3.2).
  const value = values.at(-1)
  if (value === undefined) return undefined
  const [, base64] = /^sha-256=:([A-Za-z0-9+/]{43}=):$/.exec(value) ?? []
  const bytes = Buffer.from(base64 ?? '', 'base64')
  if (bytes.length === SHA256_BYTES) return bytes.toString('hex')
  throw new AppError('REQUEST_INVALID', `the header ${name} has no SHA-256 that can be read`, {
    hint: `It is "${name}: sha-256=:<base64 of the 32 bytes>:".`,
  })
}
