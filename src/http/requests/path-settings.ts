import { formatRegistryPlace, type RegistryPlace } from '../../content/reference.ts'
import type { RegistrySettings } from '../../jobs/model/registry-record.ts'
import { AppError } from '../../lib/errors.ts'
import type { RegistryBody } from '../schemas/registry.ts'
import { registrySettings } from './registry-settings.ts'

/** Of a path there are credentials, and the way to them is the registry's. Throws BODY_INVALID. */
export function pathSettings(body: RegistryBody, place: RegistryPlace): RegistrySettings {
  const { credentials, repositories, ...others } = body
  const [other] = Object.entries(others).find(([, value]) => isSet(value)) ?? []
  if (other !== undefined) {
    throw new AppError(
      'BODY_INVALID',
      `"${other}" is of a registry, and ${formatRegistryPlace(place)} is a path of one`,
      {
        hint: `Keep it for ${place.registry}; a path has credentials and repositories alone.`,
        details: { pointer: `/${other}` },
      },
    )
  }
  const settings = registrySettings(
    {
      ...(credentials === undefined ? {} : { credentials }),
      ...(repositories === undefined ? {} : { repositories }),
    },
    place.registry,
  )
  if (settings.secret?.kind === 'aws' && settings.secret.keys === null) {
    throw new AppError('BODY_INVALID', `chain is for a registry, and ${formatRegistryPlace(place)} is a path of one`, {
      hint: `Keep it for ${place.registry}: only that is known to be spoken to over TLS.`,
      details: { pointer: '/credentials/aws/chain' },
    })
  }
  const outside = repositories?.findIndex((pattern) => pattern !== place.path && !pattern.startsWith(`${place.path}/`))
  if (outside === undefined || outside === -1) return settings
  throw new AppError('BODY_INVALID', `"${repositories?.[outside]}" stands for no repository below ${place.path}`, {
    hint: `Patterns name the repository as a whole: ${place.path}/nemo, ${place.path}/*, ${place.path}/**.`,
    details: { pointer: `/repositories/${outside}` },
  })
}

/** Schemas fill in defaults, which say nothing. */
function isSet(value: unknown): boolean {
  return value !== undefined && value !== null && value !== false
}
