import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isLoopback } from '../../../../src/lib/loopback.ts'
import { closeness } from '../../../../src/oci/request/network-address.ts'

const CASES: ReadonlyArray<[url: string, expected: 0 | 1 | 2 | 3, loopback: boolean]> = [
  ['https://registry.example', 0, false],
  ['https://8.8.8.8', 0, false],
  ['https://[2001:db8::1]', 1, false],
  ['https://[2001:4860:4860::8888]', 0, false],
  ['https://203.0.113.1', 1, false],
  ['https://240.0.0.1', 1, false],
  ['https://[64:ff9b::10.0.0.1]', 1, false],
  ['https://[64:ff9b::8.8.8.8]', 0, false],
  ['https://[64:ff9b:1::a00:1]', 1, false],
  ['https://[64:ff9b:1::808:808]', 0, false],
  ['https://[64:ff9b:1:808:8:800::]', 0, false],
  ['https://[64:ff9b:1:a00:0:100::]', 1, false],
  ['https://[64:ff9b:1:a00:0:100:808:808]', 1, false],
  ['https://[64:ff9b:1:7f00:0:100:808:808]', 2, false],
  ['https://[64:ff9b:1:a9fe:a9:fe00:808:808]', 3, false],
  ['https://[64:ff9b:1:808:8:800:a9fe:a9fe]', 3, false],
  ['https://[64:ff9b:1::]', 2, false],
  ['https://[2002:a00:1::1]', 1, false],
  ['https://[2001:0:1:2:3:4:f5ff:fffe]', 1, false],
  ['https://[fec0::1]', 1, false],
  ['https://10.1.2.3', 1, false],
  ['https://172.31.0.1', 1, false],
  ['https://172.32.0.1', 0, false],
  ['https://192.168.0.1:5000', 1, false],
  ['https://100.64.0.1', 1, false],
  ['https://[fd00::1]', 1, false],
  ['https://[::ffff:10.0.0.1]', 1, false],
  ['https://169.254.169.254', 3, false],
  ['https://[::ffff:169.254.169.254]', 3, false],
  ['https://[64:ff9b::a9fe:a9fe]', 3, false],
  ['https://[fd00:ec2::254]', 3, false],
  ['https://100.100.100.200', 3, false],
  ['https://168.63.129.16', 3, false],
  ['https://[fe80::1]', 3, false],
  ['https://224.0.0.1', 3, false],
  ['https://[ff02::1]', 3, false],
  ['https://255.255.255.255', 3, false],
  ['https://[::127.0.0.1]', 2, false],
  ['https://[::]', 2, false],
  ['https://[64:ff9b::127.0.0.1]', 2, false],
  ['https://[2002:7f00:1::]', 2, false],
  ['https://[2001:0:1:2:3:4:80ff:fffe]', 2, false],
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
