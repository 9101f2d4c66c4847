/** `41 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`. */
export function formatDuration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000))
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return joined(minutes, 'min', seconds % 60, 's')
  const hours = Math.floor(minutes / 60)
  if (hours < 24) return joined(hours, 'h', minutes % 60, 'min')
  return joined(Math.floor(hours / 24), 'd', hours % 24, 'h')
}

function joined(big: number, bigUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${big} ${bigUnit}` : `${big} ${bigUnit} ${small} ${smallUnit}`
}

/** One unit alone: `5 min ago`, `in 2 h`, `now`. */
export function formatRelative(time: number, now: number): string {
  const distance = Math.abs(now - time)
  if (distance < 2000) return 'now'
  const said = roughly(distance)
  return time <= now ? `${said} ago` : `in ${said}`
}

function roughly(ms: number): string {
  const seconds = Math.floor(ms / 1000)
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`
  return `${Math.floor(seconds / 86_400)} d`
}

const EXACT = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' })
const MINUTE = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' })
const CLOCK = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' })

export function formatExact(time: number): string {
  return EXACT.format(time)
}

export function formatClock(time: number): string {
  return CLOCK.format(time)
}

export function formatMinute(time: number): string {
  return MINUTE.format(time)
}
