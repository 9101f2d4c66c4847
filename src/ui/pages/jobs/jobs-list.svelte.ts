import { api, dataOf, Refusal } from '../../api/client.ts'
import type { Job, Problem } from '../../api/types.ts'
import { fleet } from '../../state/fleet.svelte.ts'
import { type JobFilters, mayFit, queryOf } from './filters.ts'

const PAGE = 200

/** A list that stays as it was asked for, while the jobs in it change; what has come since waits at the top until it is wanted. */
export class JobsList {
  ids = $state.raw<readonly string[]>([])
  newer = $state(0)
  loaded = $state(false)
  busy = $state(false)
  refused = $state.raw<Problem | undefined>()
  #filters: JobFilters
  #next: string | undefined
  #asked = 0

  constructor(filters: JobFilters) {
    this.#filters = filters
  }

  /** Gives what ends it. */
  listen(): () => void {
    return fleet.listen((event) => {
      if (event.type === 'created' && event.job && mayFit(this.#filters, event.job)) this.newer += 1
      if (event.type === 'removed') this.ids = this.ids.filter((id) => id !== event.jobId)
    })
  }

  async show(filters: JobFilters): Promise<void> {
    this.#filters = filters
    this.#next = undefined
    await this.#ask(false)
    this.newer = 0
  }

  /** The next page, where there is one and none is under way. */
  async more(): Promise<void> {
    if (!this.busy && this.#next !== undefined) await this.#ask(true)
  }

  async #ask(more: boolean): Promise<void> {
    this.#asked += 1
    const mine = this.#asked
    this.busy = true
    const page = more && this.#next !== undefined ? { pageToken: this.#next } : {}
    try {
      const query = { ...queryOf(this.#filters), ...page, pageSize: PAGE }
      const { items, nextPageToken } = await dataOf(api.GET('/v1/jobs', { params: { query } }))
      if (mine === this.#asked) this.#take(items, nextPageToken, more)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      if (mine === this.#asked) this.refused = error.problem
    } finally {
      if (mine === this.#asked) this.busy = false
    }
  }

  #take(items: readonly Job[], next: string | undefined, more: boolean): void {
    fleet.learn(items)
    const ids = items.map(({ id }) => id)
    this.ids = more ? [...new Set([...this.ids, ...ids])] : ids
    this.#next = next
    this.refused = undefined
    this.loaded = true
  }
}
