import { answerQuestions } from '../../lib/loop/answering.ts'

/** One SBOM, as bytes. */
export interface SoftwareQuestion {
  readonly bytes: Uint8Array<ArrayBuffer>
}

/** Of each piece of software its type, name and version; undefined where it is no SBOM of Syft. */
export type SoftwareAnswer = ReadonlyArray<readonly [type: string, name: string, version: string]> | undefined

/** Longer ones are of nothing that has a name. */
const MAX_TEXT = 512
const MOST = 50_000

/** What software.ts runs in a thread. Source: Syft's JSON, `artifacts`; zarf v0.84 writes no other. */
answerQuestions(({ bytes }: SoftwareQuestion) => {
  const { buffer, byteOffset, byteLength } = bytes
  return { answer: softwareOf(parsed(Buffer.from(buffer, byteOffset, byteLength))), transfer: [] }
})

function parsed(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    return undefined
  }
}

function softwareOf(sbom: unknown): SoftwareAnswer {
  const artifacts = (sbom as { artifacts?: unknown } | null | undefined)?.artifacts
  if (!Array.isArray(artifacts)) return undefined
  const found = new Map<string, readonly [string, string, string]>()
  for (const artifact of artifacts as unknown[]) {
    const { type, name, version } = (artifact ?? {}) as Record<string, unknown>
    if (typeof name !== 'string' || name === '') continue
    const row = [text(type), text(name), text(version)] as const
    found.set(row.join('\0'), row)
    if (found.size >= MOST) break
  }
  return [...found.values()]
}

function text(value: unknown): string {
  return typeof value === 'string' ? value.slice(0, MAX_TEXT) : ''
}
