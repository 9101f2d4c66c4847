import { extname } from 'node:path'
import { readAll } from '../../content/streams.ts'
import { AppError } from '../../lib/errors.ts'
import { createBreathing } from '../../lib/loop/breathe.ts'
import { Thread } from '../../lib/loop/thread.ts'
import { type InspectablePackage, SBOMS } from './inspectable.ts'
import type { SoftwareAnswer, SoftwareQuestion } from './software-thread.ts'
import { sbomFile, sbomsOf } from './tars.ts'

/** By type and name, joined by a NUL, the versions that SBOMs of a package name. */
export type Software = ReadonlyMap<string, ReadonlySet<string>>

export interface ChangedSoftware {
  /** As Syft calls it: deb, apk, npm, go-module. */
  readonly type: string
  readonly name: string
  /** Versions that the one has and the other has not; empty where it is not there at all. */
  readonly before: readonly string[]
  readonly after: readonly string[]
}

/** Of one SBOM, of all of a package, and pieces of software in these. */
const MAX_SBOM_BYTES = 32 * 2 ** 20
const MAX_SBOMS_BYTES = 128 * 2 ** 20
const MAX_SOFTWARE = 200_000

const thread = new Thread<SoftwareQuestion, SoftwareAnswer>({
  file: new URL(`./software-thread${extname(import.meta.filename)}`, import.meta.url),
  name: 'the thread that reads SBOMs',
  memoryMib: 512,
  timeMs: 20_000,
  idleMs: 10_000,
  tooCostly: (why) => tooLarge(`an SBOM of the package ${why} to read`),
})

/**
 * What the SBOMs of a package name, as far as they are Syft's; undefined for a package without any. One is held at a time, and read in a
 * thread. Throws PACKAGE_TOO_LARGE beyond 32 MiB of one, 128 MiB of all or 200,000 pieces, and as InspectablePackage.inner.
 */
export async function softwareOf(found: InspectablePackage): Promise<Software | undefined> {
  const sboms = (await sbomsOf(found)).filter(({ kind }) => kind === 'sbom')
  if (sboms.length === 0) return undefined
  const bytes = sboms.reduce((sum, { size }) => sum + size, 0)
  const largest = Math.max(...sboms.map(({ size }) => size))
  if (largest > MAX_SBOM_BYTES || bytes > MAX_SBOMS_BYTES)
    throw tooLarge(`${SBOMS} of ${found.where} has ${bytes} bytes of SBOMs`)
  const software = new Map<string, Set<string>>()
  let pieces = 0
  const breathe = createBreathing()
  for (const { name, size } of sboms) {
    const file = await sbomFile(found, name)
    // A buffer of its own, which goes to the thread.
    const own = new Uint8Array(await readAll(file.open({ start: 0, end: size })))
    const rows = (await thread.ask({ bytes: own }, { transfer: [own.buffer], signal: found.signal })) ?? []
    for (const [type, title, version] of rows) {
      await breathe()
      const versions = software.get(`${type}\0${title}`) ?? new Set()
      software.set(`${type}\0${title}`, versions.add(version))
      pieces += 1
      if (pieces > MAX_SOFTWARE)
        throw tooLarge(`the SBOMs of ${found.where} name more than ${MAX_SOFTWARE} pieces of software`)
    }
  }
  return software
}

/** What became another, came and went, by name. */
export async function changedSoftware(before: Software, after: Software): Promise<ChangedSoftware[]> {
  const changes: ChangedSoftware[] = []
  const breathe = createBreathing()
  for (const key of new Set([...before.keys(), ...after.keys()])) {
    await breathe()
    const [had, has] = [before.get(key) ?? new Set<string>(), after.get(key) ?? new Set<string>()]
    const [gone, come] = [[...had].filter((one) => !has.has(one)), [...has].filter((one) => !had.has(one))]
    if (gone.length + come.length === 0) continue
    const [type = '', name = ''] = key.split('\0')
    changes.push({ type, name, before: gone.toSorted(), after: come.toSorted() })
  }
  return changes.toSorted((a, b) => (a.name < b.name || (a.name === b.name && a.type < b.type) ? -1 : 1))
}

function tooLarge(message: string): AppError {
  return new AppError('PACKAGE_TOO_LARGE', message, {
    hint: 'Leave the SBOMs out of the comparison, or save them and compare them there (layerd inspect DIGEST sbom -o FOLDER).',
    details: { limit: MAX_SBOMS_BYTES },
  })
}
