import { api, dataOf, onUnknownCaller, problemOf } from '../api/client.ts'
import type { Problem, Session } from '../api/types.ts'
import type { SystemRights } from './fleet.svelte.ts'

/** Who is logged in here. `needed`: a token is asked for before anything is shown. */
class CurrentSession {
  who = $state.raw<Session | undefined>()
  needed = $state(false)
  /** It was there and has ended, in whatever way. */
  ended = $state(false)
  trouble = $state.raw<Problem | undefined>()

  constructor() {
    onUnknownCaller(() => this.#gone())
  }

  async look(): Promise<void> {
    try {
      this.who = await dataOf(api.GET('/v1/session'))
      this.needed = false
      this.trouble = undefined
    } catch (error) {
      const problem = problemOf(error)
      if (problem.status === 401) this.needed = true
      else this.trouble = problem
    }
  }

  /** Throws Refusal. */
  async logIn(token: string): Promise<void> {
    this.who = await dataOf(api.POST('/v1/session', { body: { token } }))
    this.needed = false
    this.ended = false
  }

  async logOut(): Promise<void> {
    await dataOf(api.DELETE('/v1/session'))
    this.who = undefined
    this.needed = true
  }

  /** Programs have to show one. */
  get wantsToken(): boolean {
    return this.who !== undefined && this.who.credential.kind !== 'open'
  }

  may(scope: string): boolean {
    const { scopes = [] } = this.who ?? {}
    return scopes.includes('*') || scopes.includes(scope)
  }

  systemRights(): SystemRights {
    const steers = this.may('system:admin')
    const sees = steers || this.may('system:read')
    const { registries, repositories, kinds } = this.who?.limits ?? {}
    return { sees, seesAll: sees && (registries ?? repositories ?? kinds) === undefined, steers }
  }

  #gone(): void {
    if (this.who === undefined) return
    this.ended = true
    this.needed = true
  }
}

export const session = new CurrentSession()
