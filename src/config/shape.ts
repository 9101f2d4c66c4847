/** Of a setting, what its schema wants and says of it. */
export interface Shape {
  type?: string
  enum?: readonly string[]
  minimum?: number
  maximum?: number
  default?: string | number
  description?: string
}

/** What the schema wants, in words. */
export function expectation(shape: Shape): string {
  if (shape.enum) return `must be one of ${shape.enum.join(', ')}`
  if (shape.type !== 'integer') return `must be: ${shape.description}`
  return `must be a whole number, ${shape.minimum}${shape.maximum === undefined ? ' or more' : ` to ${shape.maximum}`}`
}
