import { globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { parseSync } from 'oxc-parser'
import type { Room } from './table.ts'

/** More names than that make a folder a drawer. */
const MAX_FILES = 20

/** What stands in a file: paths from `src` on, or a package's name as it is imported. */
interface Import {
  readonly from: string
  readonly to: string
  readonly types: boolean
}

/** Everything in a folder `src` that the table does not allow, a line each; sorted. */
export function judge(src: string, rooms: Readonly<Record<string, Room>>): string[] {
  const files = globSync('**/*.{ts,mjs,svelte,css}', { cwd: src, exclude: ['**/node_modules'] }).toSorted()
  const homeless = [...new Set(files.map(dirname))].filter((folder) => folder !== '.' && !(folder in rooms))
  const problems = homeless.map((folder) => `src/${folder} has no row in the table`)
  for (const [folder, held] of Map.groupBy(files, dirname)) {
    if (held.length > MAX_FILES) problems.push(`src/${folder} holds ${held.length} files; ${MAX_FILES} are the most`)
  }
  for (const room of Object.keys(rooms)) {
    if (!files.some((file) => isIn(file, room)))
      problems.push(`the table has a row for src/${room}, which is not there`)
  }
  problems.push(...circles(rooms))
  const house = new Table(rooms)
  for (const file of files.filter((each) => /\.(?:ts|svelte)$/.test(each))) {
    for (const each of importsOf(file, readFileSync(join(src, file), 'utf8'))) {
      if (!house.allows(each))
        problems.push(`src/${each.from} may not import ${each.to}${each.types ? '' : ' (values)'}`)
    }
  }
  return problems
}

/** Wings that may import each other, by whatever way around. */
function circles(rooms: Readonly<Record<string, Room>>): string[] {
  const below = (room: string) => {
    const { imports = [], types = [], top = [] } = rooms[room] ?? {}
    return [...imports, ...types, ...top].filter((name) => name in rooms && name !== room)
  }
  return Object.keys(rooms).flatMap((start) => {
    const seen = new Set<string>()
    const open = below(start)
    for (let room = open.pop(); room !== undefined; room = open.pop()) {
      if (room === start) return [`the table lets src/${start} import itself by way of others`]
      if (!seen.has(room)) open.push(...below(room))
      seen.add(room)
    }
    return []
  })
}

class Table {
  readonly #rooms: Readonly<Record<string, Room>>

  constructor(rooms: Readonly<Record<string, Room>>) {
    this.#rooms = rooms
  }

  allows(wanted: Import): boolean {
    const { from, to, types } = wanted
    const rooms = this.#roomsOf(from)
    const opened = (kind: 'top' | 'imports' | 'types') =>
      rooms.some((room) => room[kind]?.some((name) => this.#opens(name, wanted)))
    const atTop = this.#roomOf(from) === houseOf(from)
    if (to === 'node:process') return rooms.some(({ packages = [] }) => packages.includes(to))
    if (to.startsWith('node:')) return true
    if (rooms.some(({ packages = [] }) => packages.includes(packageName(to)))) return true
    if (!/\.(?:ts|svelte|css)$/.test(to)) return false
    return (
      this.#roomOf(from) === this.#roomOf(to) ||
      opened('imports') ||
      (atTop && opened('top')) ||
      (types && opened('types'))
    )
  }

  /** The wing and its house, or the house alone. */
  #roomsOf(file: string): Room[] {
    const room = this.#roomOf(file)
    return [...new Set([room, houseOf(file)])].flatMap((name) => this.#rooms[name] ?? [])
  }

  #roomOf(file: string): string {
    for (let folder = file; folder !== '.'; folder = dirname(folder)) if (folder in this.#rooms) return folder
    return file
  }

  /** Whether `name`, in the row of `from`, opens the file `to`. */
  #opens(name: string, { from, to }: Import): boolean {
    if (houseOf(name) === houseOf(from)) return name === to || name === this.#roomOf(to)
    const faces = this.#rooms[name]?.faces?.map((face) => `${name}/${face}`) ?? [name]
    return faces.some((face) => isIn(to, face))
  }
}

function houseOf(path: string): string {
  return path.split('/')[0] ?? ''
}

function isIn(file: string, room: string): boolean {
  return file === room || file.startsWith(`${room}/`)
}

function packageName(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}

/** Of a component: one of the module, one of each instance. */
function scriptsOf(text: string): string {
  return [...text.matchAll(/<script\b[^>]*>(.*?)<\/script>/gs)].map(([, script = '']) => script).join('\n')
}

/** Static and dynamic imports, and exports from other files. */
function importsOf(file: string, whole: string): Import[] {
  const text = file.endsWith('.svelte') ? scriptsOf(whole) : whole
  const { module } = parseSync(file.replace(/\.svelte$/, '.ts'), text)
  const to = (specifier: string) => (specifier.startsWith('.') ? normalize(join(dirname(file), specifier)) : specifier)
  const fixed = module.staticImports.map(({ moduleRequest, entries }) => ({
    from: file,
    to: to(moduleRequest.value),
    types: entries.length > 0 && entries.every(({ isType }) => isType),
  }))
  const exported = module.staticExports.flatMap(({ entries }) =>
    entries.flatMap(({ moduleRequest, isType }) =>
      moduleRequest ? [{ from: file, to: to(moduleRequest.value), types: isType }] : [],
    ),
  )
  const late = module.dynamicImports.map(({ moduleRequest: { start, end } }) => ({
    from: file,
    to: to(text.slice(start + 1, end - 1)),
    types: false,
  }))
  return [...fixed, ...exported, ...late]
}
