import { api, dataOf } from '../../api/client.ts'
import type { Job } from '../../api/types.ts'
import { fleet } from '../../state/fleet.svelte.ts'
import { Loaded } from '../../state/loaded.svelte.ts'
import { type JobFilters, mayFit, queryOf } from './filters.ts'

const PAGE = 200

interface JobsPage {
  readonly items: readonly Job[]
  readonly nextPageToken?: string
}

/** A list that stays as it was asked for, while the jobs in it change; what has come since waits at the top until it is wanted. */
export class JobsList {
  ids = $state.raw<readonly string[]>([])
  newer = $state(0)
  /** What was asked for last. */
  readonly page = new Loaded<JobsPage>()
  #filters: JobFilters

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
    const page = await this.#ask()
    if (page === undefined) return
    this.ids = page.items.map(({ id }) => id)
    this.newer = 0
  }

  /** The next page, where there is one and none is under way. */
  async more(): Promise<void> {
    const { busy, refused, value } = this.page
    if (busy || refused || value?.nextPageToken === undefined) return
    const page = await this.#ask(value.nextPageToken)
    if (page) this.ids = [...new Set([...this.ids, ...page.items.map(({ id }) => id)])]
  }

  async #ask(pageToken?: string): Promise<JobsPage | undefined> {
    const query = { ...queryOf(this.#filters), ...(pageToken === undefined ? {} : { pageToken }), pageSize: PAGE }
    const page = await this.page.ask(() => dataOf(api.GET('/v1/jobs', { params: { query } })))
    fleet.learn(page?.items ?? [])
    return page
  }
}
