/** What zarf.yaml may be at the limits of docs/security.md, and just beyond. Each is added to a valid head. */
const MIB = 2 ** 20
const ROOM = 4 * MIB - 1024

/** As many pieces as there is room for, `most` at most. */
function fill(piece: (at: number) => string, { bytes = ROOM, most = Infinity } = {}): string {
  const pieces: string[] = []
  let length = 0
  for (let at = 0; at < most; at += 1) {
    const next = piece(at)
    length += next.length
    if (length > bytes) break
    pieces.push(next)
  }
  return pieces.join('')
}

const images = (item: (at: number) => string, most = 99_000) =>
  `components:\n- name: one\n  images:\n${fill(item, { most })}`
const small = { bytes: 16 * 1024 - 1024 }

export const DEFINITIONS: Readonly<Record<string, () => string>> = {
  'zarf.yaml: 4 MiB of one plain text': () => `x: ${'a'.repeat(ROOM)}`,
  'zarf.yaml: 4 MiB of one quoted text, all escapes': () => `x: "${'\\n'.repeat(ROOM / 2)}"`,
  'zarf.yaml: 4 MiB of digits': () => `x: ${'1'.repeat(ROOM)}`,
  'zarf.yaml: 490,000 values in one list': () => `x: [${fill(() => '1,', { most: 490_000 })}]`,
  'zarf.yaml: 240,000 keys in one mapping': () => `x: {${fill((at) => `${at.toString(36)}: 1,`, { most: 240_000 })}}`,
  'zarf.yaml: 500,001 values': () => `x: [${fill(() => '1,', { most: 500_001 })}]`,
  'zarf.yaml: 490,000 lines of one text': () => `x: |\n${fill(() => '  a\n', { most: 490_000 })}`,
  'zarf.yaml: 99,000 images': () => images((at) => `  - registry.example/i${at}\n`),
  'zarf.yaml: 99,000 images that are floats': () => images((at) => `  - 1.${at}\n`),
  'zarf.yaml: 240,000 images': () => images((at) => `  - i${at}\n`, 240_000),
  'zarf.yaml: 10,000 components': () => `components:\n${fill((at) => `- name: c${at}\n`, { most: 10_000 })}`,
  'zarf.yaml: 160,000 components': () => `components:\n${fill((at) => `- name: c${at}\n`, { most: 160_000 })}`,
  'zarf.yaml: 99,000 entries of documentation': () =>
    `documentation:\n${fill((at) => `  k${at}: v\n`, { most: 99_000 })}components:\n- name: one`,
  'zarf.yaml: JSON of 16 MiB': () => `components:\n- name: one\n  description: '${'<'.repeat(2.6 * MIB)}'`,
  'zarf.yaml: aliases that stand for 14 MiB of text': () =>
    `x: &a ${'y'.repeat(MIB)}\nvariables: [${'{name: *a},'.repeat(14)}]\ncomponents:\n- name: one`,
  'zarf.yaml: aliases that stand for 900,000 values': () =>
    `x: &a [${'1,'.repeat(30_000)}]\ncomponents:\n${'- {name: c, images: *a}\n'.repeat(30)}`,
  'zarf.yaml: 12 KiB of aliases that stand for 900,000 values': () =>
    `x: &a [${'1,'.repeat(3000)}]\ncomponents:\n${'- {images: *a}\n'.repeat(300)}`,
  'zarf.yaml: 10,000 aliases': () => `x: &a b\ncomponents: [{name: c, images: [${'*a,'.repeat(10_000)}]}]`,
  'zarf.yaml: 1,000 anchors, each of the one before': () =>
    `l0: &l0 [x]\n${fill((at) => `l${at + 1}: &l${at + 1} [*l${at}]\n`, { most: 900 })}`,
  'zarf.yaml: 9,900 merged keys': () => `x: &a {${fill((at) => `k${at}: 1,`, { most: 9900 })}}\ny: {<<: *a}`,
  'zarf.yaml: 16 documents': () => `components: []\n${fill((at) => `---\napiVersion: v${at}\n`, { most: 15 })}`,
  'zarf.yaml: two million documents': () => `components: []\n${fill(() => '--\n')}${'---\n'.repeat(20)}`,
  'zarf.yaml: lists 1,000,000 deep': () => `x: ${'['.repeat(MIB)}`,
  'zarf.yaml: lists 90 deep': () => `x: ${'['.repeat(90)}${']'.repeat(90)}`,
  'zarf.yaml: 16 KiB of components': () => `components:\n${fill((at) => `- name: c${at}\n`, small)}`,
  'zarf.yaml: 16 KiB of values in a list': () => `x: [${fill(() => '1,', small)}]`,
}
