/**
 * Go types written down once, so that zarf.yaml is read and the config blob written as zarf's structs do it: fields in
 * the order of the struct, each with Go's rule for leaving it out.
 */
export type Shape =
  | { readonly kind: 'text' | 'flag' | 'int' | 'int32' | 'any' | 'map' }
  | { readonly kind: 'list'; readonly of: Shape }
  | { readonly kind: 'struct'; readonly fields: Fields }

/**
 * `filled`: left out when empty (omitempty on a value). `set`: left out when absent (omitempty on a pointer). `always`:
 * written even when empty.
 */
export interface Field {
  readonly shape: Shape
  readonly keep: 'filled' | 'set' | 'always'
}

/** A bare shape means `filled`, except that Go writes a struct always, omitempty or not. */
export type Fields = { readonly [key: string]: Shape | Field }

export const text = { kind: 'text' } as const
export const flag = { kind: 'flag' } as const
export const int = { kind: 'int' } as const
/** zarf's own conversion cuts these to 32 bits. */
export const int32 = { kind: 'int32' } as const
/** Whatever YAML holds, an AnyValue. */
export const any = { kind: 'any' } as const
/** map[string]string */
export const map = { kind: 'map' } as const

export function list<const S extends Shape>(of: S) {
  return { kind: 'list', of } as const
}

export function struct<const F extends Fields>(fields: F) {
  return { kind: 'struct', fields } as const
}

export function always<const S extends Shape>(shape: S) {
  return { shape, keep: 'always' } as const
}

/** A Go pointer: null and absent are the same, and differ from empty. */
export function pointer<const S extends Shape>(shape: S) {
  return { shape, keep: 'set' } as const
}

export function fieldOf(entry: Shape | Field): Field {
  if ('shape' in entry) return entry
  return { shape: entry, keep: entry.kind === 'struct' ? 'always' : 'filled' }
}

export type AnyValue = null | string | boolean | number | bigint | AnyValue[] | Map<string, AnyValue>

/** What a value of a shape looks like once read: Go's zero values are left out. */
export type Static<S> = S extends { kind: 'text' }
  ? string
  : S extends { kind: 'flag' }
    ? boolean
    : S extends { kind: 'int' | 'int32' }
      ? bigint
      : S extends { kind: 'map' }
        ? ReadonlyMap<string, string>
        : S extends { kind: 'list'; of: infer Of }
          ? readonly Static<Of>[]
          : S extends { kind: 'struct'; fields: infer F }
            ? { readonly [K in keyof F]?: Static<F[K] extends Field ? F[K]['shape'] : F[K]> }
            : AnyValue
