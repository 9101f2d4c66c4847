import { AppError } from '../../lib/errors.ts'
import { DEFINITION } from '../layout/metadata-files.ts'
import { parseDefinition } from './definition.ts'
import { DEFINITION_SHAPE } from './definition-shape.ts'
import { encodeGoJson } from './go-json.ts'
import { type DefinitionOutline, outlineOf } from './outline.ts'

export interface EncodedDefinition<Bytes extends Uint8Array> {
  readonly outline: DefinitionOutline
  /** zarf's config blob. */
  readonly config: Bytes
}

/** Go's JSON has six characters for each of `<`, `>` and `&`, and aliases are unfolded. */
const MAX_CONFIG_BYTES = 16 * 2 ** 20

/** Throws what parseDefinition and outlineOf throw, and PACKAGE_TOO_LARGE. */
export function encodeDefinition(bytes: Buffer): EncodedDefinition<Uint8Array<ArrayBuffer>> {
  const definition = parseDefinition(bytes)
  const outline = outlineOf(definition)
  const config = new TextEncoder().encode(encodeGoJson(DEFINITION_SHAPE, definition))
  if (config.length <= MAX_CONFIG_BYTES) return { outline, config }
  throw new AppError(
    'PACKAGE_TOO_LARGE',
    `${DEFINITION} has ${config.length} bytes as JSON; more than ${MAX_CONFIG_BYTES} are not read`,
    {
      hint: 'No package that zarf made comes near this limit (docs/security.md): make it again with zarf.',
      details: { path: DEFINITION, limit: MAX_CONFIG_BYTES },
    },
  )
}
