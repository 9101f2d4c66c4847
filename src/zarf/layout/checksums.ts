import { type Digest, digestHex, sha256Digest } from '../../content/digest.ts'
import type { VerifyOptions } from '../../content/endpoints.ts'
import { AppError } from '../../lib/errors.ts'
import { parseEntryPath } from './entry-path.ts'
import { CHECKSUMS, isNeverListed } from './metadata-files.ts'

/** A manifest of 4 MiB names some 20,000. */
const MAX_FILES = 25_000
/** Empty ones, which are passed over, included. */
const MAX_LINES = 1_000_000
const LINE_END = 0x0a

const LINE = /^(?<hex>[0-9a-f]{64}) (?<path>[^ ]+)$/

/**
 * The declared digest of each file, by path. Throws PACKAGE_INVALID naming the line, PACKAGE_UNSAFE_PATH naming the path.
 * Source: zarf v0.84 layout/package.go validatePackageIntegrity: one space between digest and path, blank lines skipped.
 */
export function parseChecksums(bytes: Buffer): Map<string, Digest> {
  const declared = new Map<string, Digest>()
  for (const { index, line } of filledLines(bytes)) {
    if (declared.size === MAX_FILES) throw tooMany('files', MAX_FILES)
    const { hex, path: text } = LINE.exec(line)?.groups ?? {}
    if (hex === undefined || text === undefined) {
      throw invalidLine(index, 'is not 64 hexadecimal digits, one space and a path')
    }
    const path = parseEntryPath(text)
    if (declared.has(path)) throw invalidLine(index, `lists ${path} a second time`)
    if (isNeverListed(path)) throw invalidLine(index, `lists ${path}, which it cannot vouch for`)
    declared.set(path, sha256Digest(hex))
  }
  return declared
}

/** Millions of them may be empty. */
function* filledLines(bytes: Buffer): Generator<{ index: number; line: string }> {
  for (let start = 0, index = 0; start < bytes.length; index += 1) {
    if (index >= MAX_LINES) throw tooMany('lines', MAX_LINES)
    if (bytes[start] === LINE_END) {
      start += 1
      continue
    }
    const found = bytes.indexOf(LINE_END, start)
    const end = found === -1 ? bytes.length : found
    yield { index, line: bytes.toString('utf8', start, end) }
    start = end + 1
  }
}

function tooMany(what: string, limit: number): AppError {
  return new AppError('PACKAGE_TOO_LARGE', `${CHECKSUMS} has more than ${limit} ${what}`, {
    hint: 'A manifest, which registries take up to 4 MiB of, cannot name so many: split the package.',
    details: { path: CHECKSUMS, limit },
  })
}

/** How the copier tells that a file's bytes are not the declared ones. */
export function checksumMismatch(path: string, expected: Digest): VerifyOptions {
  return {
    name: path,
    mismatch: (found) =>
      new AppError(
        'PACKAGE_CHECKSUM_MISMATCH',
        `${path} has the sha256 ${found}; ${CHECKSUMS} says ${digestHex(expected)}`,
        {
          hint: 'The package is damaged or was changed after it was made: copy it again, or make it again with zarf.',
          details: { path, expected, found: `sha256:${found}` },
        },
      ),
  }
}

function invalidLine(index: number, why: string): AppError {
  return new AppError('PACKAGE_INVALID', `line ${index + 1} of ${CHECKSUMS} ${why}`, {
    hint: 'zarf writes this file: make the package again, or copy it again.',
    details: { path: CHECKSUMS, line: index + 1 },
  })
}
