import { BLOCK_BYTES } from './tar-header.ts'

const NAME_BYTES = 100
/** Eleven octal digits. */
const MAX_OCTAL_SIZE = 0o77777777777

/**
 * The header blocks of a regular file: ustar, with a PAX record in front where path or size do not fit. No time, no owner,
 * so that the same file always has the same header. Source: POSIX pax "ustar Interchange Format", "pax Extended Header".
 */
export function tarHeader(path: string, size: number): Buffer {
  const records = [
    ...(isPlain(path) ? [] : [paxRecord('path', path)]),
    ...(size <= MAX_OCTAL_SIZE ? [] : [paxRecord('size', `${size}`)]),
  ].join('')
  if (records === '') return block({ path, size, type: '0' })
  const bytes = Buffer.from(records)
  const header = block({ path: 'PaxHeaders/file', size: bytes.length, type: 'x' })
  const shortened = path.replaceAll(/[^\x20-\x7e]/g, '').slice(-NAME_BYTES)
  return Buffer.concat([
    header,
    bytes,
    Buffer.alloc(padding(bytes.length)),
    block({ path: shortened, size: Math.min(size, MAX_OCTAL_SIZE), type: '0' }),
  ])
}

/** Zero bytes that follow a file's content. */
export function padding(size: number): number {
  return (BLOCK_BYTES - (size % BLOCK_BYTES)) % BLOCK_BYTES
}

/** Two zero blocks. */
export const TAR_END = Buffer.alloc(2 * BLOCK_BYTES)

function isPlain(path: string): boolean {
  return /^[\x20-\x7e]*$/.test(path) && path.length <= NAME_BYTES
}

/** `length key=value\n`, the length counting its own digits. */
function paxRecord(key: string, value: string): string {
  const rest = Buffer.byteLength(` ${key}=${value}\n`)
  let length = rest
  while (length !== rest + `${length}`.length) length = rest + `${length}`.length
  return `${length} ${key}=${value}\n`
}

function block({ path, size, type }: { path: string; size: number; type: '0' | 'x' }): Buffer {
  const header = Buffer.alloc(BLOCK_BYTES)
  const octal = (value: number, width: number) => `${value.toString(8).padStart(width - 1, '0')}\0`
  header.write(path, 0, 'latin1')
  header.write(octal(0o644, 8), 100, 'latin1')
  header.write(octal(0, 8), 108, 'latin1')
  header.write(octal(0, 8), 116, 'latin1')
  header.write(octal(size, 12), 124, 'latin1')
  header.write(octal(0, 12), 136, 'latin1')
  // The checksum is over a block whose checksum field is spaces.
  header.write(' '.repeat(8), 148, 'latin1')
  header.write(type, 156, 'latin1')
  header.write('ustar\x0000', 257, 'latin1')
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return header
}
