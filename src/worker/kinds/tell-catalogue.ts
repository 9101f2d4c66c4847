import { parseReference, type Reference } from '../../content/reference.ts'
import type { CatalogueNews } from '../../jobs/catalogue/catalogue-work.ts'
import type { JobWork } from '../run-job.ts'

/** The same work, which tells the catalogue where it has changed what a registry holds. */
export function tellingCatalogue(work: JobWork, news: CatalogueNews): JobWork {
  return async (job, context) => {
    const result = await work(job, context)
    const place = job.options.dryRun === true ? undefined : placeOf(result.reference)
    if (place) await news.changed(place)
    return result
  }
}

/** What is done stays done, whatever it is called. */
function placeOf(reference: string): Reference | undefined {
  try {
    return parseReference(reference)
  } catch {
    return undefined
  }
}
