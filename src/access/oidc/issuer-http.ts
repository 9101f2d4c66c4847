/** A request to an issuer. */
export interface IssuerRequest {
  /** For errors and traces: "get the keys of the OIDC issuer". */
  readonly op: string
  readonly method: 'GET' | 'POST'
  readonly url: URL
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** What of it no error may tell. */
  readonly secrets?: readonly string[]
}

/**
 * One request and its answer, whatever the status: redirects are not followed, bytes and time are bounded. Throws where there is
 * no answer, or one beyond its bounds.
 */
export type IssuerHttp = (request: IssuerRequest) => Promise<{ readonly status: number; readonly text: string }>
