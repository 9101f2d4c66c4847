import type { RegistryResponse } from './transport.ts'

/** Closes a body nobody wants, and its connection with it: what is left of it may be a whole blob. */
export function abandonBody(response: RegistryResponse): void {
  // Destroying a body that has not ended is reported as an error of its own.
  response.body.on('error', () => undefined).destroy()
}
