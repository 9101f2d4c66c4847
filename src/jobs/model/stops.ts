import { AppError } from '../../lib/errors.ts'

/** Why a run has to stop because somebody asked; `details.reason` is what they said, empty without a word. */
export function jobCanceled(jobId: string, reason: string): AppError {
  return new AppError('JOB_CANCELED', reason === '' ? 'the job was canceled' : `the job was canceled: ${reason}`, {
    details: { jobId, reason },
  })
}

/** Unlike a cancel it leaves upload sessions and checkpoints where they are: the job goes on from them. */
export function jobPaused(jobId: string, reason: string): AppError {
  return new AppError('JOB_PAUSED', reason === '' ? 'the job was paused' : `the job was paused: ${reason}`, {
    details: { jobId, reason },
  })
}
