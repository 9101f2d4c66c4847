import { Counter } from 'prom-client'
import type { SessionNote, UploadSessionStore } from '../content/checkpoint.ts'
import type { ProcessMetrics } from './process-metrics.ts'

/** Passes everything on to `store`, and counts the sessions that are opened through it and what becomes of them. */
export type SessionCounter = (store: UploadSessionStore) => UploadSessionStore

export function sessionCounter(
  registers: Array<ProcessMetrics['registry']>,
  hostLabel: (host: string) => string,
): SessionCounter {
  const sessions = new Counter({
    name: 'layerd_upload_sessions_total',
    help: 'Upload sessions at registries: opened, closed (finished or given up), left (the registry could not be told). Opened less the others: open, or kept for a job that goes on later.',
    labelNames: ['registry', 'event'],
    registers,
  })
  return (store) => {
    const originals = new WeakMap<SessionNote, SessionNote>()
    const original = (note: SessionNote | undefined) => note && (originals.get(note) ?? note)
    return {
      ...store,
      save: (key, upload, note) => store.save(key, upload, original(note)),
      clear: (key, note) => store.clear(key, original(note)),
      opened(place, location) {
        const note = store.opened(place, location)
        const count = (event: string) => sessions.inc({ registry: hostLabel(place.registry), event })
        let over = false
        const end = (event: string) => {
          if (!over) count(event)
          over = true
        }
        const counted: SessionNote = {
          moved: (to) => note.moved(to),
          left(at) {
            note.left(at)
            end('left')
          },
          closed() {
            note.closed()
            end('closed')
          },
        }
        originals.set(counted, note)
        count('opened')
        return counted
      },
    }
  }
}
