import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import * as fc from 'fast-check'
import {
  AnswerParser,
  MAX_ANSWER_BYTES,
  MAX_GOTTEN_BYTES,
  MAX_HEAD_BYTES,
} from '../../../../../src/oci/wire/connections/answer-parser.ts'

interface Seen {
  whole: boolean
  status: number
  headers: Record<string, string>
  body: string
  reusable: boolean
  cut: boolean
}

/** What a parser makes of bytes that come in these pieces, in a buffer that is used again, and then the end. */
function read(pieces: readonly Buffer[], { method = 'POST', ends = false } = {}): Seen {
  const parser = new AnswerParser(method)
  const space = Buffer.alloc(pieces.reduce((longest, { length }) => Math.max(longest, length), 1))
  let whole = false
  for (const piece of pieces) {
    if (whole) break
    piece.copy(space)
    whole = parser.take(space.subarray(0, piece.length))
    space.fill(0xaa)
  }
  if (ends && !whole) whole = parser.end()
  const { statusCode: status, headers, body, reusable, cut } = parser
  return { whole, status, headers: { ...headers }, body: body.toString('latin1'), reusable, cut }
}

/** Bytes on the heap and in buffers, of what can still be reached. */
function memoryInUse(): number {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

const bytesOf = (text: string) => Buffer.from(text, 'latin1')
const all = (text: string, options?: Parameters<typeof read>[1]) => read([bytesOf(text)], options)

const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n'
const answers = {
  'with a length': ['HTTP/1.1 201 Created\r\nLocation: /a\r\ncontent-length:  5 \r\n\r\nhello', 'hello'],
  'without a body': ['HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nX: \r\n\r\n', ''],
  'without a reason': ['HTTP/1.1 201 \r\ncontent-length: 0\r\n\r\n', ''],
  'in chunks with an extension and trailers': [
    `${CHUNKED}3;a=b\r\nabc\r\n0A \r\n0123456789\r\n000\r\nX-Sum: 1\r\nY: 2\r\n\r\n`,
    'abc0123456789',
  ],
  'in no chunks': [`${CHUNKED}0\r\n\r\n`, ''],
  'after two interim ones': [
    'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nno',
    'no',
  ],
  'with the same length twice': ['HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx', 'x'],
  'with the same length in a list': ['HTTP/1.1 200 OK\r\nContent-Length: 1,1 , 1\r\n\r\nx', 'x'],
  '204': ['HTTP/1.1 204 No Content\r\n\r\n', ''],
} as const

const OK = 'HTTP/1.1 200 OK\r\n'

describe('an answer', () => {
  for (const [name, [text, body]] of Object.entries(answers)) {
    test(`${name} is read however it is cut`, () => {
      const whole = all(text)
      assert.deepEqual([whole.whole, whole.body, whole.reusable], [true, body, true])
      const bytes = bytesOf(text)
      for (let at = 1; at < bytes.length; at += 1) {
        assert.equal(all(text.slice(0, at)).whole, false, `whole after ${at} bytes`)
        assert.deepEqual(read([bytes.subarray(0, at), bytes.subarray(at)]), whole, `cut at ${at}`)
      }
      assert.deepEqual(read(Array.from(bytes, (byte) => Buffer.of(byte))), whole)
    })
  }

  test('to a HEAD has no body, whatever its headers say, and the connection is kept', () => {
    const both = 'content-length: 157\r\ntransfer-encoding: chunked\r\n'
    for (const fields of ['', 'content-length: 157\r\n', 'transfer-encoding: chunked\r\n', both]) {
      const seen = all(`HTTP/1.1 404 Not Found\r\n${fields}\r\n`, { method: 'HEAD' })
      assert.deepEqual([seen.whole, seen.status, seen.body, seen.reusable], [true, 404, '', true])
    }
  })

  test('that more follows upon leaves a connection that is not used again', () => {
    const head = 'HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n'
    assert.equal(all(`${head}no`, { method: 'HEAD' }).reusable, false)
    assert.equal(all(`${head}no!`).reusable, false)
    assert.equal(all('HTTP/1.1 204 No Content\r\ncontent-length: 2\r\n\r\n').reusable, false)
  })

  test('in chunks beside a length is read by its chunks, and the connection not used again', () => {
    const seen = all(`${OK}content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`)
    assert.deepEqual([seen.whole, seen.body, seen.reusable], [true, 'hello', false])
  })

  test('in chunks may spend as many bytes on them as they bring, and 64 KiB', () => {
    const chunks = (count: number) => `${CHUNKED}${'1\r\nx\r\n'.repeat(count)}0\r\n\r\n`
    // Five bytes for each of one.
    const most = Math.floor(MAX_HEAD_BYTES / 4)
    const seen = all(chunks(most - 1), { method: 'GET' })
    assert.deepEqual([seen.whole, seen.body], [true, 'x'.repeat(most - 1)])
    assert.throws(() => all(chunks(most + 1), { method: 'GET' }), { message: /chunks are smaller/ })
    const extended = `${CHUNKED}${`1;${'a'.repeat(900)}\r\nx\r\n`.repeat(80)}0\r\n\r\n`
    assert.throws(() => all(extended, { method: 'GET' }), { message: /chunks are smaller/ })
  })

  test('in parts of any size takes no more memory than it is long', () => {
    const body = Buffer.alloc(2 * MAX_ANSWER_BYTES, 'layer')
    const parser = new AnswerParser('GET')
    parser.take(bytesOf(`${OK}content-length: ${body.length}\r\n\r\n`))
    const before = memoryInUse()
    for (let at = 0; at < body.length; at++) parser.take(body.subarray(at, at + 1))
    const grown = memoryInUse() - before
    // A buffer for each byte would be some hundred times as much.
    assert.ok(grown < 8 * body.length, `${grown} bytes for ${body.length}`)
    assert.deepEqual(parser.body, body)
  })

  test('to a GET may be as long as a manifest', () => {
    const text = 'x'.repeat(MAX_GOTTEN_BYTES + 1)
    const seen = (status: string, method: string) =>
      all(`HTTP/1.1 ${status}\r\ncontent-length: ${2 * text.length}\r\n\r\n${text}`, { method })
    const [gotten, refused] = [seen('200 OK', 'GET'), seen('500 Oops', 'GET')]
    assert.deepEqual([gotten.cut, gotten.body.length], [true, MAX_GOTTEN_BYTES + 1])
    assert.equal(refused.cut, true)
    assert.equal(all(`${OK}content-length: 300000\r\n\r\n${'x'.repeat(300_000)}`, { method: 'GET' }).cut, false)
  })

  test('without a length ends with the connection', () => {
    const text = 'HTTP/1.1 500 Oops\r\n\r\nall is lost'
    assert.equal(all(text).whole, false)
    const seen = all(text, { ends: true })
    assert.deepEqual([seen.whole, seen.body, seen.reusable], [true, 'all is lost', false])
    assert.equal(all('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhell', { ends: true }).whole, false)
    assert.equal(all(`${CHUNKED}3\r\nabc\r\n`, { ends: true }).whole, false)
  })

  test('says whether the connection stays', () => {
    const reusable = (start: string, field: string) =>
      all(`${start} 200 OK\r\n${field}content-length: 0\r\n\r\n`).reusable
    assert.equal(reusable('HTTP/1.1', 'Connection: Close\r\n'), false)
    assert.equal(reusable('HTTP/1.1', 'Connection: foo, close\r\n'), false)
    assert.equal(reusable('HTTP/1.0', ''), false)
    assert.equal(reusable('HTTP/1.0', 'Connection: keep-alive\r\n'), true)
  })

  test('has its headers by lower-case name, several joined', () => {
    const { headers } = all('HTTP/1.1 401 No\r\nWWW-Authenticate: a\r\nwww-authenticate: b\r\n__proto__: c\r\n\r\n', {
      method: 'HEAD',
    })
    assert.equal(headers['www-authenticate'], 'a, b')
    assert.equal(Object.getOwnPropertyDescriptor(headers, '__proto__')?.value, 'c')
  })

  test('that is longer than any answer should be is cut off, and the connection not used again', () => {
    const text = `HTTP/1.1 500 Oops\r\ncontent-length: ${4 * MAX_ANSWER_BYTES}\r\n\r\n${'x'.repeat(MAX_ANSWER_BYTES + 1)}`
    const seen = all(text)
    assert.deepEqual([seen.whole, seen.reusable, seen.body.length], [true, false, MAX_ANSWER_BYTES + 1])
    const chunk = `${CHUNKED}40001\r\n${'x'.repeat(MAX_ANSWER_BYTES + 1)}`
    const endless = `HTTP/1.1 500 Oops\r\n\r\n${'x'.repeat(MAX_ANSWER_BYTES + 1)}`
    assert.deepEqual([seen.cut, all(chunk).cut, all(endless).cut], [true, true, true])
    const whole = all(
      `HTTP/1.1 500 Oops\r\ncontent-length: ${MAX_ANSWER_BYTES + 1}\r\n\r\n${'x'.repeat(MAX_ANSWER_BYTES + 1)}`,
    )
    assert.deepEqual([whole.whole, whole.cut], [true, false])
  })
})

const refused: Record<string, string> = {
  garbage: 'SSH-2.0-OpenSSH_9.2\r\n',
  'a TLS alert': '\u0015\u0003\u0003\u0000\u0002\u0002\u0046',
  'a status of two digits': 'HTTP/1.1 20 OK\r\n\r\n',
  'another version': 'HTTP/2.0 200 OK\r\n\r\n',
  'a field without a colon': `${OK}nonsense\r\n\r\n`,
  'a field with a space before the colon': `${OK}content-length : 5\r\n\r\n`,
  'a folded field': `${OK}x: a\r\n b\r\n\r\n`,
  'a bare line feed': `${OK}x: a\nContent-Length: 5\r\n\r\n`,
  'a bare carriage return': `${OK}x: a\rb\r\n\r\n`,
  'a NUL': `${OK}x: a\u0000b\r\n\r\n`,
  'two lengths': `${OK}content-length: 5\r\ncontent-length: 6\r\n\r\n`,
  'a list of lengths': `${OK}content-length: 5, 6\r\n\r\n`,
  'a list that ends in nothing': `${OK}content-length: 5,\r\n\r\n`,
  'a signed length': `${OK}content-length: +5\r\n\r\n`,
  'a length that is none beside chunks': `${OK}content-length: x\r\ntransfer-encoding: chunked\r\n\r\n`,
  'another coding': `${OK}transfer-encoding: gzip, chunked\r\n\r\n`,
  'chunks in HTTP/1.0': 'HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n',
  'a switch of protocols': 'HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\n\r\n',
  'interim answers without end': 'HTTP/1.1 102 Processing\r\n\r\n'.repeat(20),
  'a chunk of no size': `${CHUNKED}\r\n`,
  'a chunk of negative size': `${CHUNKED}-1\r\n`,
  'a chunk with a prefix': `${CHUNKED}0x5\r\nhello\r\n`,
  'a chunk that is longer than it says': `${CHUNKED}3\r\nabcd\r\n`,
  'a chunk size without end': `${CHUNKED}1;${'x'.repeat(2000)}`,
  'a trailer that is none': `${CHUNKED}0\r\nnonsense\r\n\r\n`,
  'trailers without end': `${CHUNKED}0\r\n${`x: ${'y'.repeat(1000)}\r\n`.repeat(400)}`,
}

for (const [name, text] of Object.entries(refused)) {
  test(`${name} is refused, at once and byte by byte`, () => {
    const wrong = { code: /^HPE_/ }
    assert.throws(() => all(text), wrong)
    assert.throws(() => read(Array.from(bytesOf(text), (byte) => Buffer.of(byte))), wrong)
  })
}

test('a head without end is refused', () => {
  const text = `${OK}${`x: ${'y'.repeat(1000)}\r\n`.repeat(80)}`
  assert.throws(() => all(text), { code: 'UND_ERR_HEADERS_OVERFLOW' })
  assert.throws(() => all(`${text}\r\n`), { code: 'UND_ERR_HEADERS_OVERFLOW' })
})

test('however bytes are cut, the same comes out', () => {
  const pieces = fc.array(
    fc.constantFrom('HTTP/1.1 200 OK', '\r\n', '\r', '\n', 'a: b', 'transfer-encoding: chunked', '3', 'abc', '0', ' '),
    {
      maxLength: 12,
    },
  )
  const outcome = (parts: readonly Buffer[]) => {
    try {
      return read(parts, { ends: true })
    } catch (error) {
      return (error as NodeJS.ErrnoException).code?.slice(0, 4)
    }
  }
  fc.assert(
    fc.property(pieces, fc.integer({ min: 1, max: 7 }), (words, size) => {
      const bytes = bytesOf(`HTTP/1.1 ${words.join('')}`)
      const parts = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
        bytes.subarray(index * size, (index + 1) * size),
      )
      const [once, cut] = [outcome([bytes]), outcome(parts)]
      // Bytes after the end are seen only where they come with it.
      if (typeof once === 'object' && typeof cut === 'object') once.reusable = cut.reusable
      assert.deepEqual(cut, once)
    }),
  )
})
