/** Runs in a row that may end in a transient failure without a new byte, before the job fails. */
export const RUN_RETRIES = 5
