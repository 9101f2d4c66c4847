/** Less than this is the way that a message took. */
const SAME_MS = 2000

/** The daemon's time, as all that is relative to it is shown; it moves once a second, and stands while the tab is hidden. */
class Clock {
  now = $state(Date.now())
  /** How far this machine's clock is behind the daemon's. */
  #behindMs = 0

  constructor() {
    setInterval(() => {
      if (!document.hidden) this.#move()
    }, 1000)
    document.addEventListener('visibilitychange', () => this.#move())
  }

  /** What the daemon's clock has shown just now. */
  told(time: string): void {
    const behindMs = Date.parse(time) - Date.now()
    if (Number.isFinite(behindMs) && Math.abs(behindMs - this.#behindMs) > SAME_MS) {
      this.#behindMs = behindMs
      this.#move()
    }
  }

  #move(): void {
    this.now = Date.now() + this.#behindMs
  }
}

export const clock = new Clock()
