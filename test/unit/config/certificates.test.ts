import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { findCertificates } from '../../../src/config/certificates.ts'
import { createCertificate } from '../../helpers/network/certificate.ts'
import { tempDir } from '../../helpers/temp-dir.ts'

const [ours, theirs, third] = [createCertificate(), createCertificate(), createCertificate()]
/** As DER in base64, sorted. */
const sorted = (all: Iterable<string>) => [...all].toSorted((a, b) => a.localeCompare(b))
const base64 = ({ certDer }: { certDer: Buffer }) => certDer.toString('base64')

/** Files of a name and a text in a folder of their own. */
async function folderOf(t: TestContext, files: Readonly<Record<string, string | Buffer>>): Promise<string> {
  const folder = await tempDir(t)
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content)
  return folder
}

const NO_SYSTEM = { files: [], folders: [] }

test("the first of the system's files counts and all of its folders, each certificate once", async (t) => {
  const a = await folderOf(t, { 'bundle.crt': `# a comment\n${ours.certPem}`, 'second.crt': third.certPem })
  const b = await folderOf(t, { 'own.pem': theirs.certPem, 'again.pem': ours.certPem, README: 'no certificate' })
  const system = {
    files: ['missing.crt', 'bundle.crt', 'second.crt'].map((name) => join(a, name)),
    folders: [join(a, 'x'), b],
  }
  const { found, warnings } = findCertificates({ SSL_CERT_FILE: '', SSL_CERT_DIR: '' }, system)
  assert.deepEqual(sorted(found), sorted([ours, theirs].map(base64)))
  assert.deepEqual(warnings, [])
})

test('SSL_CERT_FILE stands in place of the system file, SSL_CERT_DIR in place of its folders, NODE_EXTRA_CA_CERTS beside them', async (t) => {
  const folder = await folderOf(t, {
    'ours.pem': ours.certPem,
    'theirs.pem': theirs.certPem,
    'third.pem': third.certPem,
  })
  const [one, two] = [await folderOf(t, { 'a.pem': ours.certPem }), await folderOf(t, { 'b.crt': theirs.certPem })]
  const system = { files: [join(folder, 'third.pem')], folders: [two] }
  const believed = (env: Record<string, string>) => sorted(findCertificates(env, system).found)
  const [a, b, c] = [base64(ours), base64(theirs), base64(third)]
  assert.deepEqual(believed({ SSL_CERT_FILE: join(folder, 'ours.pem') }), sorted([a, b]))
  assert.deepEqual(believed({ SSL_CERT_FILE: join(folder, 'ours.pem'), SSL_CERT_DIR: one }), [a])
  assert.deepEqual(believed({ SSL_CERT_DIR: `${one}::${two}` }), sorted([a, b, c]))
  assert.deepEqual(believed({ SSL_CERT_DIR: one, NODE_EXTRA_CA_CERTS: join(folder, 'theirs.pem') }), sorted([a, b, c]))
})

test('a folder may hold links: to files elsewhere, and the second names that c_rehash gives', async (t) => {
  const elsewhere = await folderOf(t, { 'real.crt': ours.certPem })
  const folder = await folderOf(t, { 'own.pem': theirs.certPem })
  await symlink(join(elsewhere, 'real.crt'), join(folder, 'linked.pem'))
  await symlink('own.pem', join(folder, '1a2b3c4d.0'))
  await symlink('gone.pem', join(folder, '99999999.0'))
  await mkdir(join(folder, 'java'))
  execFileSync('mkfifo', [join(folder, 'pipe')])
  const { found, warnings } = findCertificates({ SSL_CERT_DIR: folder }, NO_SYSTEM)
  assert.deepEqual(sorted(found), sorted([ours, theirs].map(base64)))
  assert.deepEqual(warnings, [])
})

const NOT_ONES: ReadonlyArray<readonly [what: string, content: string | Buffer, says: string]> = [
  ['is empty', '', 'holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)'],
  ['is another text', 'hello', 'holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)'],
  ['is in DER', ours.certDer, 'holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)'],
  ['was cut', ours.certPem.slice(0, 200), 'holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)'],
  ['holds a key', ours.keyPem, 'holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)'],
  [
    'holds a damaged one',
    `${ours.certPem}-----BEGIN CERTIFICATE-----\nMIIBszCC\n-----END CERTIFICATE-----\n`,
    'holds 2 certificates, of which 1 cannot be read',
  ],
]

for (const setting of ['SSL_CERT_FILE', 'NODE_EXTRA_CA_CERTS']) {
  for (const [what, content, says] of NOT_ONES) {
    test(`${setting}: a file that ${what} is told by setting and name, and what is whole of it counts`, async (t) => {
      const path = join(await folderOf(t, { 'ca.crt': content }), 'ca.crt')
      const { found, warnings } = findCertificates({ [setting]: path }, NO_SYSTEM)
      assert.deepEqual(warnings, [`${setting}: ${path} ${says}`])
      assert.equal(found.size, says.includes('of which 1') ? 1 : 0)
    })
  }

  test(`${setting}: what is not there, or no file, is told and nothing else suffers`, async (t) => {
    const folder = await folderOf(t, { 'ca.crt': ours.certPem })
    const system = { files: [join(folder, 'ca.crt')], folders: [folder] }
    for (const [path, why] of [
      [join(folder, 'missing\u001b[2J'), 'cannot be read (ENOENT)'],
      [folder, 'is no file'],
      ['/dev/zero', 'is no file'],
    ] as const) {
      const { found, warnings } = findCertificates({ [setting]: path }, system)
      const told = path.replace('\u001b', '\\u001b')
      assert.deepEqual(warnings, [`${setting}: ${told} ${why}, so no certificate of it is trusted`])
      assert.deepEqual([...found], [base64(ours)])
    }
  })
}

test('SSL_CERT_DIR: each folder that is missing, or without a certificate, is told', async (t) => {
  const [full, empty] = [await folderOf(t, { 'a.pem': ours.certPem }), await folderOf(t, { notes: 'x' })]
  const { found, warnings } = findCertificates({ SSL_CERT_DIR: `${full}:/nowhere/at/all:${empty}` }, NO_SYSTEM)
  assert.deepEqual([...found], [base64(ours)])
  assert.deepEqual(warnings, [
    'SSL_CERT_DIR: /nowhere/at/all cannot be read (ENOENT), so no certificate of it is trusted',
    `SSL_CERT_DIR: ${empty} has no file with a certificate in PEM form (-----BEGIN CERTIFICATE-----)`,
  ])
})
