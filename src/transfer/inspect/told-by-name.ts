import { isBundleArchive } from '../../uds/layout/bundle-files.ts'
import { guessFromFileName } from '../../zarf/package.ts'

export interface NamedArchive {
  /** `archive`: its name says nothing of it. */
  kind: 'package' | 'init' | 'bundle' | 'archive'
  /** What it is said to be; null where the name has not the form that zarf and uds give it. */
  told: { name: string; architecture: string; version: string | null } | null
}

/** What the file name of an archive tells. Source: zarf-packages.md 1.1, 4.1. */
export function toldByName(fileName: string): NamedArchive {
  const kind = kindOf(fileName)
  // uds puts its names together as zarf does.
  const guess = guessFromFileName(kind === 'bundle' ? fileName.replace('uds-bundle-', 'zarf-package-') : fileName)
  if (!guess) return { kind, told: null }
  const { name, architecture, version = null } = guess
  return { kind, told: { name, architecture, version } }
}

function kindOf(fileName: string): NamedArchive['kind'] {
  if (isBundleArchive(fileName)) return 'bundle'
  if (fileName.startsWith('zarf-package-')) return 'package'
  return fileName.startsWith('zarf-init-') ? 'init' : 'archive'
}
