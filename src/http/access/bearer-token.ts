/** The token of an Authorization header; undefined where it has none. Source: RFC 6750 2.1. */
export function bearerToken(authorization: string | undefined): string | undefined {
  return /^Bearer +([\x21-\x7e]+) *$/i.exec(authorization ?? '')?.[1]
}
