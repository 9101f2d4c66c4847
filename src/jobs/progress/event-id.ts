/** Whether `text` can be the id of an event (a Redis stream id); a client may send anything as Last-Event-ID. */
export function isEventId(text: string): boolean {
  return /^[0-9]{1,16}-[0-9]{1,16}$/.test(text)
}

/** Of two event ids, whether the first is the older one. */
export function isOlderEvent(id: string, than: string): boolean {
  const [ms = 0, count = 0] = id.split('-').map(Number)
  const [otherMs = 0, otherCount = 0] = than.split('-').map(Number)
  return ms < otherMs || (ms === otherMs && count < otherCount)
}
