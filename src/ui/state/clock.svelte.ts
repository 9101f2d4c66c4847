/** The time as all that is relative to it is shown; it moves once a second, and stands while the tab is hidden. */
class Clock {
  now = $state(Date.now())

  constructor() {
    setInterval(() => {
      if (!document.hidden) this.now = Date.now()
    }, 1000)
    document.addEventListener('visibilitychange', () => {
      this.now = Date.now()
    })
  }
}

export const clock = new Clock()
