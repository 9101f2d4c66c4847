import type { ErrorCode } from '../../../src/lib/errors.ts'
import type { ArchiveEntry, PackageOptions } from './package-builder.ts'

const MIB = 1024 * 1024

/** What is wrong with the archive, and the error that names it. */
export const BAD_ARCHIVES: readonly { name: string; options: PackageOptions; code: ErrorCode; message: RegExp }[] = [
  ...[
    ['a path that leaves the package', '../evil'],
    ['a path that leaves it further in', 'components/../../evil'],
    ['an absolute path', '/etc/evil'],
    ['a backslash', 'components\\evil'],
    ['an empty part', 'components//evil'],
  ].map(([name = '', path = '']) => ({
    name,
    options: withEntry({ header: { name: path }, content: 'evil' }),
    code: 'PACKAGE_UNSAFE_PATH' as const,
    message: new RegExp(RegExp.escape(JSON.stringify(path))),
  })),
  ...(['symlink', 'link', 'fifo', 'character-device', 'block-device'] as const).map((type) => ({
    name: `an entry of type ${type}`,
    options: withEntry({ header: { name: 'images/entry', type, linkname: '/etc/passwd' } }),
    code: 'PACKAGE_UNSAFE_PATH' as const,
    message: /"images\/entry" is a /,
  })),
  {
    name: 'a folder outside',
    options: withEntry({ header: { name: '../folder', type: 'directory' } }),
    code: 'PACKAGE_UNSAFE_PATH',
    message: /\.\.\/folder/,
  },
  {
    name: 'a file that checksums.txt does not list',
    options: withEntry({ header: { name: 'components/extra.tar' }, content: 'extra' }),
    code: 'PACKAGE_INVALID',
    message: /holds components\/extra\.tar, which checksums\.txt does not list/,
  },
  {
    name: 'a large file that checksums.txt does not list',
    options: withEntry({ header: { name: 'components/extra.tar' }, content: { bytes: 17 * MIB, compressible: 1 } }),
    code: 'PACKAGE_INVALID',
    message: /holds components\/extra\.tar, which checksums\.txt does not list/,
  },
  {
    name: 'a file after zarf.yaml that checksums.txt does not list',
    options: withEntry({ header: { name: 'zz' }, content: 'extra' }),
    code: 'PACKAGE_INVALID',
    message: /holds zz, which/,
  },
  {
    name: 'a provenance file in a package that is not signed',
    options: { unlisted: { 'future.sig': 'signature' }, build: { signed: false, provenanceFiles: ['future.sig'] } },
    code: 'PACKAGE_INVALID',
    message: /holds future\.sig, which/,
  },
  {
    name: 'a file that is missing',
    options: without('components/layer-0001.tar'),
    code: 'PACKAGE_INVALID',
    message: /does not hold components\/layer-0001\.tar, which checksums\.txt lists/,
  },
  {
    name: 'no zarf.yaml',
    options: without('zarf.yaml'),
    code: 'PACKAGE_INVALID',
    message: /does not hold zarf\.yaml, which every package has/,
  },
  {
    name: 'no checksums.txt',
    options: without('checksums.txt'),
    code: 'PACKAGE_INVALID',
    message: /does not hold checksums\.txt, which every package has/,
  },
  {
    name: 'a file twice',
    options: { tamper: { entries: (entries) => [...entries, ...entries.filter(named('components/layer-0000.tar'))] } },
    code: 'PACKAGE_INVALID',
    message: /holds components\/layer-0000\.tar twice/,
  },
  {
    name: 'a checksums.txt that zarf.yaml does not vouch for',
    options: { metadata: { aggregateChecksum: '0'.repeat(64) } },
    code: 'PACKAGE_CHECKSUM_MISMATCH',
    message: /checksums\.txt has the sha256 [0-9a-f]{64}; zarf\.yaml says 0{64}/,
  },
  {
    name: 'no aggregate checksum',
    options: { metadata: { aggregateChecksum: '' } },
    code: 'PACKAGE_INVALID',
    message: /no metadata\.aggregateChecksum/,
  },
  {
    name: 'a line with two spaces',
    options: { tamper: { checksums: (text) => text.replace(' ', '  ') } },
    code: 'PACKAGE_INVALID',
    message: /line 1 of checksums\.txt/,
  },
  {
    name: 'a line that leaves the package',
    options: { tamper: { checksums: (text) => `${text}${'a'.repeat(64)} ../evil\n` } },
    code: 'PACKAGE_UNSAFE_PATH',
    message: /"\.\.\/evil"/,
  },
  {
    name: 'a zarf.yaml that is too large',
    options: { tamper: { definition: (text) => `${text}${'# bomb\n'.repeat(3 * MIB)}` } },
    code: 'PACKAGE_TOO_LARGE',
    message: /zarf\.yaml has \d+ bytes/,
  },
  {
    name: 'a zarf.yaml that stands for gigabytes',
    options: {
      tamper: { definition: (text) => `${text}x: &a ${'y'.repeat(MIB)}\nz: [${'*a,'.repeat(3000)}]\n` },
    },
    code: 'PACKAGE_TOO_LARGE',
    message: /zarf\.yaml unfolds to more than 16 MiB/,
  },
  {
    name: 'a zarf.yaml that stands for itself',
    options: { tamper: { definition: (text) => `${text}x: &a [*a]\n` } },
    code: 'PACKAGE_INVALID',
    message: /refers to itself/,
  },
  {
    name: 'a checksums.txt that is too large',
    options: { tamper: { checksums: (text) => `${text}${'\n'.repeat(17 * MIB)}` } },
    code: 'PACKAGE_TOO_LARGE',
    message: /checksums\.txt has \d+ bytes/,
  },
  {
    name: 'a signature that is too large',
    options: { unlisted: { 'zarf.bundle.sig': { bytes: 17 * MIB, compressible: 1 } } },
    code: 'PACKAGE_TOO_LARGE',
    message: /zarf\.bundle\.sig has \d+ bytes/,
  },
  {
    name: 'a zarf.yaml that is not YAML',
    options: { tamper: { definition: () => 'kind: [' } },
    code: 'PACKAGE_INVALID',
    message: /zarf\.yaml is not valid YAML/,
  },
]

function withEntry(entry: ArchiveEntry): PackageOptions {
  const last = entry.header.name === 'zz'
  return { tamper: { entries: (entries) => (last ? [...entries, entry] : insertAfterFirst(entries, entry)) } }
}

function insertAfterFirst(entries: ArchiveEntry[], entry: ArchiveEntry): ArchiveEntry[] {
  return [...entries.slice(0, 1), entry, ...entries.slice(1)]
}

function without(path: string): PackageOptions {
  return { tamper: { entries: (entries) => entries.filter((entry) => !named(path)(entry)) } }
}

function named(path: string): (entry: ArchiveEntry) => boolean {
  return (entry) => entry.header.name === path
}
