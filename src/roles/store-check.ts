import type { Config } from '../config/config.ts'
import { existingStore } from '../daemon/data-directory.ts'
import {
  type CheckReport,
  type ContentStore,
  createContentStore,
  packageTitle,
  type StoreFinding,
} from '../store/content-store.ts'

interface Output {
  write(text: string): unknown
  isTTY?: boolean
}

export interface StoreCheckContext {
  readonly config: Config
  readonly stdout: Output
  readonly stderr: Output
  /** Ends the check between two reads. */
  readonly signal: AbortSignal
}

/**
 * `layerd store check`: looks at every byte of the content store and says what is damaged; with `repair`, mends it from
 * what is whole, for which no daemon may work on the store. Exit code 0 only when all is well.
 */
export async function runStoreCheck(
  { config, stdout, stderr, signal }: StoreCheckContext,
  { repair, json }: { repair: boolean; json: boolean },
): Promise<number> {
  const folder = await existingStore(config.dataDir)
  await using store: ContentStore = await createContentStore({ folder })
  const showing = stderr.isTTY === true
  const report = await store.check({
    repair,
    signal,
    onBlob({ index, count }) {
      if (showing) stderr.write(`\r\u001b[Kreading blob ${index + 1} of ${count}`)
    },
  })
  if (showing) stderr.write('\r\u001b[K')
  const well = isWell(report)
  stdout.write(json ? `${JSON.stringify({ store: folder, well, ...report })}\n` : reportText(folder, report))
  return well ? 0 : 1
}

/** Whether nothing is left to do: what was mended is, unless a package lost something by it. */
function isWell({ findings }: CheckReport): boolean {
  return findings.every(({ repaired, packages }) => repaired && packages.length === 0)
}

function reportText(folder: string, report: CheckReport): string {
  const { blobs, bytes, packages, findings } = report
  const lines = [`${folder}: ${blobs} blobs, ${bytes} bytes, ${packages} packages`]
  if (findings.length === 0) return `${lines[0]}\nall is well\n`
  for (const finding of findings) lines.push('', ...findingLines(finding))
  return [...lines, '', ...conclusion(report), ''].join('\n')
}

const SHOWN_BLOBS = 10

function findingLines({ kind, path, message, blobs, packages, repaired }: StoreFinding): string[] {
  const more = blobs.length - SHOWN_BLOBS
  return [
    `${repaired ? 'mended' : 'found'} ${kind}: ${path} ${message}`,
    ...blobs
      .slice(0, SHOWN_BLOBS)
      .map(({ digest, titles }) => `  ${titles.length === 0 ? 'needed by no package' : titles.join(', ')}: ${digest}`),
    ...(more > 0 ? [`  and ${more} more`] : []),
    ...packages.map((affected) => `  in ${packageTitle(affected)}: ${affected.digest}`),
  ]
}

function conclusion({ findings }: CheckReport): string[] {
  const mended = findings.some(({ repaired }) => repaired)
  const affected = new Map(findings.flatMap(({ packages }) => packages).map((found) => [found.digest, found]))
  const pulls = [...affected.values()].map(({ references, architecture, ...found }) => {
    const reference = references.at(-1)
    const what = packageTitle({ ...found, architecture })
    return reference === undefined ? `  ${what}` : `  layerd pull --store -a ${architecture} ${reference}`
  })
  const count = findings.length === 1 ? '1 finding' : `${findings.length} findings`
  return [
    mended ? `${count}, mended from what is whole` : `${count}; nothing was changed: stop layerd, then add --repair`,
    ...(pulls.length === 0 ? [] : [mended ? 'to pull again:' : 'to pull again after the repair:', ...pulls]),
  ]
}
