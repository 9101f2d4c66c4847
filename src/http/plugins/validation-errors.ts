import type { FastifySchemaValidationError } from 'fastify'
import { AppError } from '../../lib/errors.ts'

/** A body can be wrong in very many places at once; this many are told. */
const MOST_TOLD = 20

interface Finding {
  pointer: string
  detail: string
  code: string
}

/** Ajv's findings as one error that names each wrong place by JSON pointer (RFC 6901). */
export function validationProblems(findings: readonly FastifySchemaValidationError[], part: string): AppError {
  const code = part === 'body' ? 'BODY_INVALID' : 'REQUEST_INVALID'
  const told = findings.slice(0, MOST_TOLD).map((finding) => describe(finding, code))
  const where = { body: 'the body', querystring: 'the query', params: 'the path', headers: 'the headers' }[part] ?? part
  return new AppError(code, `${where} is not valid: ${told.map(({ detail }) => detail).join('; ')}`, {
    details: { errors: told, ...(findings.length > told.length ? { findings: findings.length } : {}) },
  })
}

function describe(finding: FastifySchemaValidationError, code: string): Finding {
  const { keyword, params, instancePath } = finding
  const field = (name: unknown): Finding['pointer'] => `${instancePath}/${escapePointer(String(name))}`
  switch (keyword) {
    case 'additionalProperties': {
      const name = String(params['additionalProperty']).slice(0, 100)
      return { pointer: field(name), detail: `there is no field "${name}"${within(instancePath)}`, code }
    }
    case 'required': {
      const name = String(params['missingProperty'])
      return { pointer: field(name), detail: `the field "${name}" is missing${within(instancePath)}`, code }
    }
    case 'enum': {
      const allowed = (params['allowedValues'] as unknown[]).join(', ')
      return { pointer: instancePath, detail: `${named(instancePath)} must be one of ${allowed}`, code }
    }
    case 'type': {
      const kind = TYPES[String(params['type'])] ?? String(params['type'])
      return { pointer: instancePath, detail: `${named(instancePath)} must be ${kind}`, code }
    }
    case 'minimum':
    case 'maximum': {
      const limit = `${String(params['limit'])} or ${keyword === 'minimum' ? 'more' : 'less'}`
      return { pointer: instancePath, detail: `${named(instancePath)} must be ${limit}`, code }
    }
    default:
      return { pointer: instancePath, detail: `${named(instancePath)} ${finding.message ?? 'is not valid'}`, code }
  }
}

/** The names that JSON Schema gives, in words. */
const TYPES: Readonly<Record<string, string>> = {
  integer: 'a whole number',
  number: 'a number',
  string: 'a string',
  boolean: 'true or false',
  object: 'an object',
  array: 'a list',
}

function within(path: string): string {
  return path === '' ? '' : ` in "${path.slice(1)}"`
}

function named(path: string): string {
  return path === '' ? 'it' : `"${path.slice(1)}"`
}

function escapePointer(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1')
}
