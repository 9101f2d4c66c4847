import { type Static, Type } from 'typebox'
import { withoutUnseen } from '../../lib/text.ts'
import { Nullable } from './outcome.ts'

/** Characters of each text at most: what a package says of itself may be anything. */
const TEXT_CHARACTERS = 256
const Text = (description: string) => Type.String({ maxLength: TEXT_CHARACTERS, description })

export const JobPackage = Type.Object(
  {
    name: Text('Of the package, or of the bundle.'),
    version: Nullable(Text('null: it says none.')),
    architecture: Text('multi where it is of several.'),
    flavor: Nullable(Text('null: it says none.')),
  },
  {
    description:
      "What the job is about, once that was read; until the zarf.yaml at a compressed archive's end was reached, what its file name says.",
  },
)
export type JobPackage = Static<typeof JobPackage>

/** What a package or a bundle says that it is. */
interface Identity {
  readonly name: string
  readonly version: string | undefined
  readonly architecture: string
  readonly flavor: string | undefined
}

/** What a job tells of it: text alone, and not more of it than a line holds. */
export function jobPackage({ name, version, architecture, flavor }: Identity): JobPackage {
  return {
    name: told(name),
    version: version === undefined ? null : told(version),
    architecture: told(architecture),
    flavor: flavor === undefined ? null : told(flavor),
  }
}

/** The cut may part a character of two code units. */
function told(text: string): string {
  return withoutUnseen(text.slice(0, TEXT_CHARACTERS)).toWellFormed()
}
