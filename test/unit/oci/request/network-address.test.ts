import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isLoopback } from '../../../../src/lib/loopback.ts'
import { closeness } from '../../../../src/oci/request/network-address.ts'

const CASES: ReadonlyArray<[url: string, expected: 0 | 1 | 2, loopback: boolean]> = [
  ['https://registry.example', 0, false],
  ['https://8.8.8.8', 0, false],
  ['https://[2001:db8::1]', 0, false],
  ['https://10.1.2.3', 1, false],
  ['https://172.31.0.1', 1, false],
  ['https://172.32.0.1', 0, false],
  ['https://192.168.0.1:5000', 1, false],
  ['https://100.64.0.1', 1, false],
  ['https://[fd00::1]', 1, false],
  ['https://[::ffff:10.0.0.1]', 1, false],
  ['https://169.254.169.254', 2, false],
  ['https://[fe80::1]', 2, false],
  ['https://0.0.0.0', 2, false],
  ['https://localhost:5000', 2, true],
  ['https://LOCALHOST.', 2, true],
  ['https://registry.localhost', 2, true],
  ['https://127.8.9.1', 2, true],
  ['https://0x7f000001', 2, true],
  ['https://2130706433', 2, true],
  ['https://[::1]:5000', 2, true],
  ['https://[::ffff:127.0.0.1]', 2, true],
  ['https://127.0.0.1.example', 0, false],
  ['https://localhost.example', 0, false],
]

for (const [url, expected, loopback] of CASES) {
  test(`${url} has closeness ${expected} and is ${loopback ? '' : 'not '}loopback`, () => {
    const { hostname } = new URL(url)
    assert.deepEqual([closeness(hostname), isLoopback(hostname)], [expected, loopback])
  })
}
