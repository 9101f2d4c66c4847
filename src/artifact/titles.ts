import { type Descriptor, descriptorTitle } from '../content/descriptor.ts'
import { AppError } from '../lib/errors.ts'
import { unsafeBecause } from '../zarf/layout/entry-path.ts'
import { artifactInvalid } from './artifact.ts'

/** Far below what file systems take, with room for the name of a temporary file beside it. */
const MAX_PATH = 1024
const MAX_NAME_BYTES = 200
const MAX_FOLDERS = 32
/** Each is looked for in its folder. */
const MAX_FILES = 5000

/** A title as the path of a file below some folder. Throws PACKAGE_UNSAFE_PATH. */
export function checkTitle(title: string): string {
  const why = unsafeBecause(title) ?? tooLong(title)
  if (why === undefined) return title
  throw new AppError('PACKAGE_UNSAFE_PATH', `the title ${JSON.stringify(title.slice(0, 300))} ${why}`, {
    hint: 'A title is the path of a file below the folder that an artifact is pulled into, such as docs/readme.md.',
    details: { path: title.slice(0, 300) },
  })
}

function tooLong(title: string): string | undefined {
  if (title.length > MAX_PATH) return `is longer than ${MAX_PATH} characters`
  const names = title.split('/')
  if (names.length > MAX_FOLDERS) return `lies more than ${MAX_FOLDERS} folders deep`
  return names.some((name) => Buffer.byteLength(name) > MAX_NAME_BYTES)
    ? `has a name of more than ${MAX_NAME_BYTES} bytes`
    : undefined
}

/**
 * Which file each layer becomes in a folder, by its path: its title, else what `untitled` makes of it. Throws
 * PACKAGE_UNSAFE_PATH for a path that could leave the folder, and ARTIFACT_INVALID where two layers would be one file on some
 * file system, or one a folder that another lies in.
 */
export function filePaths(
  layers: readonly Descriptor[],
  untitled: (layer: Descriptor) => string,
): ReadonlyMap<string, Descriptor> {
  if (layers.length > MAX_FILES) throw tooMany(layers.length)
  const files = new Map<string, Descriptor>()
  const taken = new Map<string, string>()
  for (const layer of layers) {
    const path = checkTitle(descriptorTitle(layer) ?? untitled(layer))
    if (files.get(path)?.digest === layer.digest) continue
    const other = taken.get(folded(path))
    if (other !== undefined) throw clash(path, other)
    taken.set(folded(path), path)
    files.set(path, layer)
  }
  for (const path of files.keys()) {
    for (let end = path.indexOf('/'); end !== -1; end = path.indexOf('/', end + 1)) {
      const file = taken.get(folded(path.slice(0, end)))
      if (file !== undefined) throw clash(path, file)
    }
  }
  return files
}

/** One name where neither case nor the way to write an accent counts. */
function folded(path: string): string {
  return path.normalize('NFC').toLowerCase()
}

function tooMany(count: number): AppError {
  return artifactInvalid(
    `the artifact has ${count} layers; at most ${MAX_FILES} are written as files`,
    'Of a package pull the archive: leave "options.form" out.',
    { layers: count, limit: MAX_FILES },
  )
}

function clash(path: string, other: string): AppError {
  const shown = [other, path].map((title) => JSON.stringify(title.slice(0, 300)))
  return artifactInvalid(
    `two layers cannot be files of one folder: ${shown.join(' and ')}`,
    'Give each file of the artifact a title of its own, whatever the case of its letters.',
    { path: path.slice(0, 300) },
  )
}
