import type { FastifyReply } from 'fastify'

type Immutable<T> = T extends readonly (infer E)[]
  ? readonly Immutable<E>[]
  : T extends object
    ? { readonly [K in keyof T]: Immutable<T[K]> }
    : T

/** Sends bytes as they are: nothing of what others wrote, and made long, is parsed or written again here. */
export function sendBytes(reply: FastifyReply, type: string, bytes: Buffer): FastifyReply {
  return reply.type(`${type}; charset=utf-8`).send(bytes)
}

/** JSON of which one field, the last, is JSON already. */
export function sendJsonWith<T extends object>(
  reply: FastifyReply,
  fields: Omit<Immutable<T>, 'definition'>,
  [name, json]: ['definition', Buffer],
): FastifyReply {
  const head = `${JSON.stringify(fields).slice(0, -1)},${JSON.stringify(name)}:`
  return sendBytes(reply, 'application/json', Buffer.concat([Buffer.from(head), json, Buffer.from('}\n')]))
}

/** JSON whose length others chose: Fastify's serializer takes several times as long for long lists. */
export function sendJson<T extends object>(reply: FastifyReply, fields: Immutable<T>): FastifyReply {
  return sendBytes(reply, 'application/json', Buffer.from(`${JSON.stringify(fields)}\n`))
}
