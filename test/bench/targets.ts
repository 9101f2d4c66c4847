import type { Row } from './rows.ts'

interface Target {
  what: string
  found: number | undefined
  most: number
}

const MIB = 1024 * 1024

/** What the figures are to show, and whether they do. */
export function targetLines(rows: readonly Row[]): string[] {
  const own = rows.filter(({ name }) => name === 'layerd')
  const worst = (values: readonly (number | undefined)[]): number | undefined => {
    const known = values.filter((value) => value !== undefined)
    return known.length === 0 ? undefined : Math.max(...known)
  }
  const ratio = (task: RegExp, farEnd: RegExp, peer: string, of: 'cpu' | 'wall'): number | undefined =>
    worst(own.filter((row) => task.test(row.task) && farEnd.test(row.farEnd)).map((row) => row.ratios[peer]?.[of]))
  const peak = (task: RegExp): number | undefined =>
    worst(own.filter((row) => task.test(row.task)).map((row) => row.peakBytes / MIB))
  const temporary = worst(own.filter((row) => row.task.startsWith('publish')).map((row) => row.temporaryBytes / MIB))
  const targets: Target[] = [
    {
      what: 'publish of a package, CPU / zarf',
      found: ratio(/^publish .*GiB|^publish .*MiB/, /./, 'zarf', 'cpu'),
      most: 0.85,
    },
    {
      what: 'publish of a package, wall / zarf',
      found: ratio(/^publish .*GiB|^publish .*MiB/, /./, 'zarf', 'wall'),
      most: 0.7,
    },
    { what: 'publish, temporary disk, MiB', found: temporary, most: 0 },
    { what: 'push of one layer over TLS, CPU / oras', found: ratio(/^push/, /TLS/, 'oras', 'cpu'), most: 1.1 },
    {
      what: 'pull of one layer over HTTP, CPU / crane',
      found: ratio(/^pull one/, /^(?!.*TLS)/, 'crane', 'cpu'),
      most: 1.25,
    },
    { what: 'pull of one layer over TLS, CPU / crane', found: ratio(/^pull one/, /TLS/, 'crane', 'cpu'), most: 1.35 },
    {
      what: 'publish of small layers, wall / oras',
      found: ratio(/^publish .*KiB/, /^(?!.*single)/, 'oras', 'wall'),
      most: 1,
    },
    {
      what: 'publish of small layers by single POST, wall / oras',
      found: ratio(/^publish .*KiB/, /single/, 'oras', 'wall'),
      most: 1 / 1.5,
    },
    { what: 'copy, CPU / crane', found: ratio(/^copy/, /./, 'crane', 'cpu'), most: 1.7 },
    { what: 'copy, wall / crane', found: ratio(/^copy/, /./, 'crane', 'wall'), most: 1.2 },
    { what: 'worker memory with one large layer, MiB', found: peak(/one layer/), most: 200 },
    { what: 'worker memory, MiB', found: peak(/./), most: 300 },
  ]
  return targets
    .filter(({ found }) => found !== undefined)
    .map(({ what, found = Number.NaN, most }) => {
      const verdict = found <= most ? 'met' : 'MISSED'
      return `${verdict.padEnd(6)} ${what}: ${found.toFixed(2)}, at most ${most.toFixed(2)}`
    })
}
