import { Type } from 'typebox'

/** Settings of the catalogue. */
export const CatalogueEnvironment = {
  LAYERD_CATALOG_REQUESTS: Type.Integer({
    default: 20,
    minimum: 1,
    maximum: 1000,
    description: 'Requests a second that the catalogue asks of a registry.',
  }),
  LAYERD_CATALOG_TAGS: Type.Integer({
    default: 100_000,
    minimum: 100,
    maximum: 2_000_000,
    description: 'Tags of a registry that the catalogue keeps.',
  }),
}
