import { AppError } from '../lib/errors.ts'

/** Bytes from `start` to before `end`. */
export interface Range {
  readonly start: number
  readonly end: number
}

/** The source gives whole blobs alone, whatever part it is asked for: ask it for one stream from an offset on. */
export class RangeIgnored extends AppError {
  constructor(message: string, cause?: unknown) {
    super('REGISTRY_PROTOCOL_VIOLATION', message, { op: 'fetch blob', cause })
  }
}
