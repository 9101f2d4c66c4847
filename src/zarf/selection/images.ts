import { createBreathing } from '../../lib/loop/breathe.ts'
import { parseImageReference } from './image-reference.ts'
import { type Candidate, type Kind, meantBy, parseWishes, shownEntry, type Wish, wrongChoice } from './wishes.ts'

/** Longer names are none (distribution/reference: 255 for the name, 128 for the tag, 71 for the digest). */
const IMAGES: Kind = { code: 'IMAGES_INVALID', name: 'image', maxLength: 512 }

const DOCKER_HUB = 'docker.io/'
const OFFICIAL = 'library/'

interface Named extends Candidate {
  readonly image: string
}

/**
 * Those of the images that a request means. Each entry is a name, compared as zarf does (`nginx:1` is
 * docker.io/library/nginx:1), or a pattern (path-match.ts) of the name in full, as zarf.yaml has it, or as Docker shortens it; a
 * digest behind a tag need not be named. One that begins with `-` takes away and wins; where all do, they take away from all.
 * Without entries: none. Throws IMAGES_INVALID naming the entry.
 */
export async function selectImages(images: readonly string[], requested: readonly string[]): Promise<string[]> {
  const wishes = parseWishes(requested, IMAGES).map(inFull)
  const candidates: Named[] = []
  const breathe = createBreathing()
  for (const image of images) {
    await breathe()
    candidates.push({ image, names: namesOf(image) })
  }
  const said = await meantBy(wishes, candidates, {
    kind: IMAGES,
    onWish({ entry }, meant) {
      if (meant.length > 0) return
      throw wrongChoice(`no image matches "${shownEntry(entry)}"`, images, IMAGES)
    },
  })
  const fromAll = wishes.length > 0 && wishes.every(({ out }) => out)
  return candidates
    .filter((candidate) => said.get(candidate) === 'in' || (fromAll && said.get(candidate) !== 'out'))
    .map(({ image }) => image)
}

/** A plain name is spelled out; a pattern cannot be. */
function inFull(wish: Wish): Wish {
  if (/[*?[\\]/.test(wish.name)) return wish
  const { full } = parseImageReference(wish.name)
  return { ...wish, pattern: { steps: 1, matches: (name) => name === full } }
}

/** What an image may be called. */
function namesOf(image: string): string[] {
  const { full } = parseImageReference(image)
  const short = full.startsWith(DOCKER_HUB) ? full.slice(DOCKER_HUB.length) : full
  const shortest = short.startsWith(OFFICIAL) ? short.slice(OFFICIAL.length) : short
  const all = [image, full, short, shortest]
  return [...new Set([...all, ...all.map(withoutDigest)])]
}

function withoutDigest(name: string): string {
  const at = name.indexOf('@')
  return at === -1 ? name : name.slice(0, at)
}
