import { AppError } from '../../lib/errors.ts'

export const BLOCK_BYTES = 512

/** One header block, before PAX records and GNU long names are applied. */
export interface TarHeader {
  readonly path: string
  /** The type flag as its character; NUL reads as `0`. */
  readonly type: string
  readonly size: number
}

/**
 * Reads one tar header block (POSIX.1-1988 ustar, V7 and GNU). Throws PACKAGE_INVALID when its checksum is wrong.
 * Source: POSIX pax "ustar Interchange Format"; GNU tar manual "Basic Tar Format".
 */
export function parseTarHeader(block: Buffer): TarHeader {
  checkSum(block)
  const name = textField(block, 0, 100)
  const magic = block.toString('latin1', 257, 263)
  const prefix = magic === 'ustar\0' ? textField(block, 345, 500) : ''
  const flag = block.toString('latin1', 156, 157)
  // Before ustar a folder was a file whose name ends in a slash.
  const type = flag === '\0' ? (name.endsWith('/') ? '5' : '0') : flag
  return { path: prefix === '' ? name : `${prefix}/${name}`, type, size: numberField(block, 124, 136) }
}

export function isZeroBlock(block: Buffer): boolean {
  return block.every((byte) => byte === 0)
}

/**
 * The records of a PAX extended header: `length key=value\n`, length counting itself.
 * Source: POSIX pax "pax Extended Header".
 */
export function parsePaxRecords(bytes: Buffer): Map<string, string> {
  const records = new Map<string, string>()
  for (let start = 0; start < bytes.length; ) {
    const space = bytes.indexOf(0x20, start)
    const digits = space === -1 ? '' : bytes.toString('latin1', start, space)
    const end = start + Number(digits)
    if (!/^[1-9][0-9]{0,9}$/.test(digits) || end > bytes.length || bytes[end - 1] !== 0x0a) {
      throw invalidTar('has a PAX record of a wrong length')
    }
    const equals = bytes.indexOf(0x3d, space)
    if (equals === -1 || equals >= end) throw invalidTar('has a PAX record without a value')
    records.set(decodeText(bytes.subarray(space + 1, equals)), decodeText(bytes.subarray(equals + 1, end - 1)))
    start = end
  }
  return records
}

/** Text up to the first NUL. */
export function textField(bytes: Buffer, start: number, end: number): string {
  const nul = bytes.subarray(start, end).indexOf(0)
  return decodeText(bytes.subarray(start, nul === -1 ? end : start + nul))
}

export function invalidTar(why: string, details: Readonly<Record<string, unknown>> = {}): AppError {
  return new AppError('PACKAGE_INVALID', `the package is not a valid tar archive: it ${why}`, {
    hint: 'The file is damaged or not a package: copy it again, or make it again with zarf.',
    details,
  })
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function decodeText(bytes: Buffer): string {
  try {
    return UTF8.decode(bytes)
  } catch {
    throw invalidTar('has a name that is not UTF-8')
  }
}

/** The sum of all bytes with the checksum field as spaces; old writers summed signed bytes. */
function checkSum(block: Buffer): void {
  let unsigned = 0
  let signed = 0
  for (let index = 0; index < BLOCK_BYTES; index++) {
    const byte = index >= 148 && index < 156 ? 0x20 : (block[index] ?? 0)
    unsigned += byte
    signed += byte > 127 ? byte - 256 : byte
  }
  const expected = numberField(block, 148, 156)
  if (expected !== unsigned && expected !== signed) throw invalidTar('has a header whose checksum is wrong')
}

/** Blanks and NULs around it; nothing else is 0. */
const OCTAL = /^[ \0]*(?:([0-7]+)[ \0]*)?$/

/** Octal digits, or GNU's base-256 for sizes from 8 GiB on. */
function numberField(block: Buffer, start: number, end: number): number {
  const first = block[start] ?? 0
  if (first >= 0x80) return base256(block.subarray(start, end))
  const found = OCTAL.exec(block.toString('latin1', start, end))
  if (!found) throw invalidTar('has a header with a number that is not octal')
  return Number.parseInt(found[1] ?? '0', 8)
}

function base256(bytes: Buffer): number {
  let value = BigInt((bytes[0] ?? 0) & 0x7f)
  for (const byte of bytes.subarray(1)) value = value * 256n + BigInt(byte)
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw invalidTar('has a header with an impossible size')
  return Number(value)
}
