import { type TSchema, Type } from 'typebox'

export const MAX_PAGE_SIZE = 200
export const DEFAULT_PAGE_SIZE = 50

/** Query parameters of every list. */
export const pageQuery = {
  pageSize: Type.Optional(
    Type.Integer({ minimum: 1, default: DEFAULT_PAGE_SIZE, description: `More than ${MAX_PAGE_SIZE} reads as that.` }),
  ),
  pageToken: Type.Optional(Type.String({ maxLength: 4096, description: '`nextPageToken` of the page before.' })),
}

/** `more`: what the page tells beside its items. */
export function pageOf(schema: string, more: Record<string, TSchema> = {}): TSchema {
  return Type.Object({
    ...more,
    items: Type.Array(Type.Ref(schema)),
    nextPageToken: Type.Optional(Type.String({ description: 'Absent on the last page.' })),
  })
}
