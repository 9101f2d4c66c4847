import { parseArgs } from 'node:util'

export interface DemoOptions {
  /** End after the checks rather than keep serving. */
  once: boolean
  /** Of the generated package. */
  bytes: number
  layers: number
}

export const USAGE = `npm run demo [-- --once] [--size 256MiB] [--layers N]

  --once     end after the checks, with exit code 0 only if all held
  --size     of the generated package: a number with B, KiB, MiB or GiB (default 1GiB)
  --layers   of the generated package (default 8)
`

const UNITS: Record<string, number> = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 }

/** Throws for what it does not understand. */
export function parseDemoOptions(args: readonly string[]): DemoOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      once: { type: 'boolean', default: false },
      size: { type: 'string', default: '1GiB' },
      layers: { type: 'string', default: '8' },
    },
  })
  const bytes = parseSize(values.size)
  const layers = Number(values.layers)
  if (!Number.isInteger(layers) || layers < 1 || layers > bytes)
    throw new Error(`--layers ${values.layers} is no count`)
  return { once: values.once, bytes, layers }
}

function parseSize(text: string): number {
  const [, number, unit = 'B'] = /^(\d+(?:\.\d+)?)(B|KiB|MiB|GiB)?$/.exec(text) ?? []
  const bytes = Math.round(Number(number) * (UNITS[unit] ?? Number.NaN))
  if (Number.isSafeInteger(bytes) && bytes > 0) return bytes
  throw new Error(`--size ${text} is no size: write it like 256MiB`)
}
