import type { IssuerHttp } from '../access/oidc/issuer-http.ts'
import { readProxies } from '../config/proxies.ts'
import { createMask, createRegistryConnections } from '../oci/connections.ts'
import type { RoleContext } from './context.ts'

/** For connection and answer: a caller waits for it whom nobody has let in yet. */
const ANSWER_MS = 10_000

/**
 * Over connections as registries have them: proxies, certificate authorities, traces, 128 KiB of an answer at most. A setting names
 * the issuer, so it may be at a private address, and LAYERD_ALLOWED_REGISTRIES is not about it. It lives as long as the process.
 */
export function issuerHttp(
  { env, version, tracing }: Pick<RoleContext, 'env' | 'version' | 'tracing'>,
  answerMs = ANSWER_MS,
): IssuerHttp {
  const connections = createRegistryConnections({
    version,
    proxy: readProxies(env),
    timeouts: { connectMs: answerMs / 2, tokenMs: answerMs },
    ...(tracing ? { hooks: [tracing.hooks] } : {}),
  })
  return async ({ op, method, url, headers = {}, body, secrets = [] }) => {
    const mask = createMask(url.href)
    mask.keep(...secrets)
    const { status, text } = await connections.cloud({
      op,
      registry: url.host,
      method,
      target: url,
      headers,
      ...(body === undefined ? {} : { body: Buffer.from(body) }),
      mask,
      reach: 2,
    })
    return { status, text }
  }
}
