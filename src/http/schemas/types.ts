/** The resources as clients see them; types alone. */
export type { Job, JobEvent, JobResult, Problem, Progress, Transfer } from '../../jobs/model/definitions.ts'
