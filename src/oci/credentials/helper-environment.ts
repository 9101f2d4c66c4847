export type Environment = Readonly<Record<string, string | undefined>>

/** What programs need to run and to find their files, the system's bus, proxies and certificates. */
const SYSTEM =
  /^(?:PATH|HOME|USER|LOGNAME|TMPDIR|TZ|LANG|LC_\w+|XDG_\w+|DBUS_SESSION_BUS_ADDRESS|SSH_AUTH_SOCK|(?:https?|no|all)_proxy|(?:HTTPS?|NO|ALL)_PROXY|SSL_CERT_(?:FILE|DIR)|(?:REQUESTS|CURL)_CA_BUNDLE)$/
/**
 * By vendors' documentation: docker-credential-pass, -secretservice, -osxkeychain; -ecr-login and the AWS SDK; -gcr and
 * -gcloud with Google's metadata server; -acr-env and Azure's managed identities; -vault-login; -doctl; -env and -ghcr.
 */
const HELPERS =
  /^(?:DOCKER_CONFIG|GNUPGHOME|GPG_TTY|PASSWORD_STORE_\w+|(?:AWS|AZURE|GOOGLE|CLOUDSDK|VAULT|DIGITALOCEAN)_\w+|GCE_METADATA_\w+|(?:IDENTITY|IMDS|MSI)_(?:ENDPOINT|HEADER|SECRET|SERVER_THUMBPRINT)|DOCKER_\w+_(?:USR|PSW)|(?:GITHUB|GH)_TOKEN)$/

/** The part of layerd's environment that credential helpers get: what they are known to read, and nothing of layerd's own. */
export function helperEnvironment(env: Environment): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(env).filter(([name]) => SYSTEM.test(name) || HELPERS.test(name)))
}
