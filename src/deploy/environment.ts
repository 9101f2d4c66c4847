import { join } from 'node:path'

/**
 * What programs that deploy get of layerd's environment: how to find programs and the way out, and the cluster that layerd itself
 * was given. Nothing else: packages run commands of their own, and its settings hold secrets.
 */
const PASSED = [
  'PATH',
  'LANG',
  'LC_ALL',
  'TZ',
  'KUBECONFIG',
  'KUBERNETES_SERVICE_HOST',
  'KUBERNETES_SERVICE_PORT',
  'HTTPS_PROXY',
  'HTTP_PROXY',
  'NO_PROXY',
  'https_proxy',
  'http_proxy',
  'no_proxy',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
] as const

/** `folder`: the working folder, in which all that they keep lies. */
export function toolEnvironment(
  env: Readonly<Record<string, string | undefined>>,
  folder: string,
): Record<string, string> {
  const passed = PASSED.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]] as const]))
  return { ...Object.fromEntries(passed), HOME: join(folder, 'home'), TMPDIR: join(folder, 'tmp') }
}
