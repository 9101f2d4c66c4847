/** Where the person is. Addresses are real ones: they can be shared, reloaded and gone back from. */
class Router {
  path = $state(location.pathname)
  query = $state.raw(new URLSearchParams(location.search))

  constructor() {
    addEventListener('popstate', () => this.#read())
  }

  /** `replace`: no step to go back to, as for a filter that is being typed. */
  go(address: string, { replace = false } = {}): void {
    if (replace) history.replaceState(null, '', address)
    else history.pushState(null, '', address)
    const moved = this.path !== location.pathname
    this.#read()
    if (moved) scrollTo(0, 0)
  }

  /** Of the query: what is undefined or empty goes. */
  set(changes: Record<string, string | readonly string[] | undefined>): void {
    const query = new URLSearchParams(this.query)
    for (const [name, value] of Object.entries(changes)) {
      query.delete(name)
      for (const one of [value ?? []].flat()) if (one !== '') query.append(name, one)
    }
    const text = query.toString()
    this.go(text === '' ? this.path : `${this.path}?${text}`, { replace: true })
  }

  #read(): void {
    this.path = location.pathname
    this.query = new URLSearchParams(location.search)
  }
}

export const router = new Router()

/** Links of our own pages change the view and load nothing; what opens another tab is left to the browser. */
export function followLinks(event: MouseEvent): void {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey)
    return
  const link = event.target instanceof Element ? event.target.closest('a') : null
  if (!link || link.target !== '' || link.hasAttribute('download') || link.origin !== location.origin) return
  if (!isOurs(link.pathname) || isOnThisPage(link)) return
  event.preventDefault()
  router.go(link.pathname + link.search + link.hash)
}

/** The browser finds the place, and gives it the focus. */
function isOnThisPage({ hash, pathname, search }: HTMLAnchorElement): boolean {
  return hash !== '' && pathname === location.pathname && search === location.search
}

/** The pages, as the daemon serves them. */
function isOurs(path: string): boolean {
  return path === '/' || /^\/(?:jobs|packages|new|registries|system)(?:\/|$)/.test(path)
}
