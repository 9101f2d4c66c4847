/** What is waited for, in words, with the host's name as it may be told. */
export type WaitCause = (host: string) => string

export const limitedBy =
  (status: number): WaitCause =>
  (host) =>
    `${host} limits requests (${status})`

export const requestsPerSecond =
  (limit: number): WaitCause =>
  (host) =>
    `requests per second of ${host} (limit ${limit})`

export const bytesPerSecond =
  (limit: number): WaitCause =>
  (host) =>
    `bytes per second of ${host} (limit ${limit})`

export const bodiesAtOnce =
  (limit: number): WaitCause =>
  (host) =>
    `bodies at once of ${host} (limit ${limit})`

/** `what` the registry counts, and how many of how many it lets in still. */
export const fewLeft =
  (what: string, remaining: number, limit: number | undefined): WaitCause =>
  (host) =>
    `${host} has ${remaining}${limit === undefined ? '' : ` of ${limit}`} ${what} left`
