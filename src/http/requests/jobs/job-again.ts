import { requireBelow, requireKind, requirePlace } from '../../../access/limits.ts'
import type { Principal } from '../../../access/principal.ts'
import { requireScope, scopeOfKind, scopesOfJob } from '../../../access/scopes.ts'
import type { Job } from '../../../jobs/model/definitions.ts'
import { placesOfJob, UNKNOWN_NAME } from '../../../jobs/model/places.ts'

/** Throws SCOPE_MISSING for who may not make jobs of its kind. */
export function requireWriter(caller: Principal, { kind }: Pick<Job, 'kind'>): void {
  requireScope(caller, [scopeOfKind(kind)])
}

/**
 * Who lets a job go on needs for it what who makes one needs. Its run is held to the limits of both (jobs/model/requests.ts). Throws
 * SCOPE_MISSING, TOKEN_LIMITED.
 */
export function requireAgain(caller: Principal, job: Job): void {
  for (const scope of scopesOfJob(job)) requireScope(caller, scope)
  requireKind(caller, job.kind)
  for (const place of placesOfJob(job)) {
    const { registry, repository } = place
    const parts = repository.split('/')
    if (parts.at(-1) === UNKNOWN_NAME) requireBelow(caller, { registry, namespace: parts.slice(0, -1).join('/') })
    else requirePlace(caller, place)
  }
}
