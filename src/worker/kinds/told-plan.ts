import type { Job, JobResult } from '../../jobs/model/definitions.ts'
import type { TransferPlan } from '../../transfer/dry-run.ts'
import { jobProblem } from '../failure.ts'

/** What a dry run found, as its job tells it. */
export function toldPlan<T extends { plan: TransferPlan }>(
  { plan, ...outcome }: T,
  { id }: Pick<Job, 'id'>,
): Omit<T, 'plan'> & Pick<JobResult, 'plan'> {
  const { mountFrom, problems, ...figures } = plan
  const told = { ...figures, mountFrom: [...mountFrom], problems: problems.map((error) => jobProblem(error, id)) }
  return { ...outcome, plan: told }
}
