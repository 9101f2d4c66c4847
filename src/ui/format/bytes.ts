const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']

/** IEC units, as on the command line: `1.5 GiB`. */
export function formatBytes(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1023.95 && unit < UNITS.length - 1) {
    value /= 1024
    unit += 1
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit]}`
}

export function formatSpeed(bytesPerSecond: number): string {
  return `${formatBytes(Math.round(bytesPerSecond))}/s`
}

/** Rounded down, so that 100 % is said of nothing that is not whole. Null: not known. */
export function percentOf(done: number, total: number | null | undefined): number | null {
  if (total === null || total === undefined) return null
  if (total === 0) return 100
  return Math.min(100, Math.floor((done / total) * 1000) / 10)
}
