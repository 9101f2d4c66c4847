import { resolve } from 'node:path'
import { type Static, Type } from 'typebox'
import { AppError } from '../lib/errors.ts'
import { isLoopback } from '../lib/loopback.ts'
import { hasUnseen } from '../lib/text.ts'

/** Settings of the issuer whose tokens let in. */
export const OidcEnvironment = {
  LAYERD_OIDC_ISSUER: Type.Optional(Type.String({ description: 'URL of an OIDC issuer, as its tokens write it.' })),
  LAYERD_OIDC_AUDIENCE: Type.Optional(Type.String({ description: 'What tokens have to be for.' })),
  LAYERD_OIDC_CLIENT_ID: Type.Optional(Type.String({ description: 'Of layerd at the issuer, for browsers.' })),
  LAYERD_OIDC_CLIENT_SECRET: Type.Optional(Type.String({ description: 'Of that client; none for a public one.' })),
  LAYERD_OIDC_SCOPES: Type.String({
    default: 'openid profile email',
    description: 'What a log-in asks for, separated by spaces.',
  }),
  LAYERD_OIDC_GROUPS_CLAIM: Type.String({
    default: 'groups',
    description: 'Claim of the groups; dots lead into claims within claims.',
  }),
  LAYERD_OIDC_GROUPS_FILE: Type.Optional(
    Type.String({ description: 'What groups may: a list of {group, scopes, limits}; JSON or YAML.' }),
  ),
}
const Shape = Type.Object(OidcEnvironment)
type Settings = Static<typeof Shape>

const NAMES = Object.keys(OidcEnvironment) as Array<keyof Settings>
const OF_NO_USE_ALONE = [
  'LAYERD_OIDC_AUDIENCE',
  'LAYERD_OIDC_CLIENT_ID',
  'LAYERD_OIDC_CLIENT_SECRET',
  'LAYERD_OIDC_GROUPS_FILE',
] as const
const MAX_LENGTH = 1024

/** What is set of an issuer; undefined: nothing. Throws CONFIG_INVALID, never with the secret. */
export function readOidc(settings: Settings) {
  const { LAYERD_OIDC_ISSUER: issuer, LAYERD_OIDC_GROUPS_FILE: groupsFile, LAYERD_OIDC_CLIENT_ID: clientId } = settings
  if (issuer === undefined) {
    const other = OF_NO_USE_ALONE.find((name) => settings[name] !== undefined)
    if (other === undefined) return undefined
    throw wrong(other, 'has no effect without LAYERD_OIDC_ISSUER', 'Set LAYERD_OIDC_ISSUER too, or leave it out.')
  }
  for (const name of NAMES) {
    const text = settings[name] ?? ''
    if (text.length <= MAX_LENGTH && !hasUnseen(text)) continue
    throw wrong(name, `must be one line of ${MAX_LENGTH} characters at most`)
  }
  requireIssuer(issuer)
  const audience = settings.LAYERD_OIDC_AUDIENCE ?? clientId
  if (audience === undefined) {
    throw wrong('LAYERD_OIDC_AUDIENCE', 'is not set, nor is LAYERD_OIDC_CLIENT_ID: tokens for anybody would let in')
  }
  if (groupsFile === undefined) {
    throw wrong('LAYERD_OIDC_GROUPS_FILE', 'is not set, and without it the tokens of LAYERD_OIDC_ISSUER may nothing')
  }
  if (!settings.LAYERD_OIDC_SCOPES.split(' ').includes('openid')) {
    throw wrong('LAYERD_OIDC_SCOPES', 'must have openid among its scopes, separated by spaces')
  }
  return Object.freeze({
    issuer,
    audience,
    clientId,
    clientSecret: settings.LAYERD_OIDC_CLIENT_SECRET,
    scopes: settings.LAYERD_OIDC_SCOPES,
    groupsClaim: settings.LAYERD_OIDC_GROUPS_CLAIM,
    groupsFile: resolve(groupsFile),
  })
}

/** Source: OpenID Connect Discovery 1.0, 3: https, no query, no fragment. */
function requireIssuer(text: string): void {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isBare = url && !/[?#]/.test(text) && url.username === '' && url.password === ''
  if (isBare && (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname)))) return
  throw wrong('LAYERD_OIDC_ISSUER', 'must be an https URL without user, query and fragment; http for loopback alone')
}

function wrong(name: string, why: string, hint?: string): AppError {
  return new AppError('CONFIG_INVALID', `${name} ${why}`, {
    ...(hint === undefined ? {} : { hint }),
    details: { setting: name },
  })
}
