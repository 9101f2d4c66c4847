import { X509Certificate } from 'node:crypto'
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { pemCertificates, toPem } from '../lib/formats/pem.ts'
import { visible } from '../lib/text.ts'
import type { Env } from './secrets.ts'

/** Where distributions keep their certificates in one file; the first that is there counts. Source: Go 1.26 crypto/x509 root_linux.go. */
const SYSTEM_FILES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/pki/tls/cacert.pem',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/ssl/cert.pem',
]
/** And in folders, which all count. Source: the same. */
const SYSTEM_FOLDERS = ['/etc/ssl/certs', '/etc/pki/tls/certs']

/** All that distributions and companies believe in is a quarter of a megabyte. */
const MAX_BYTES = 16 * 1024 * 1024

export interface FoundCertificates {
  /** Each once, as base64 of its DER. */
  readonly found: ReadonlySet<string>
  /** What of the settings has no effect, each with the setting and the file. */
  readonly warnings: readonly string[]
}

/**
 * Certificates of authorities that this machine believes in, as Go's programs and curl find them: SSL_CERT_FILE in place of
 * the system's file, SSL_CERT_DIR (folders, separated by colons) in place of its folders, and NODE_EXTRA_CA_CERTS. A file
 * that is missing, or is none, is a warning and no error: the environment is often another program's. Never throws.
 */
export function findCertificates(
  env: Env,
  system = { files: SYSTEM_FILES, folders: SYSTEM_FOLDERS },
): FoundCertificates {
  const found = new Set<string>()
  const warnings: string[] = []
  const warn = (text: string): void => void warnings.push(visible(text))
  for (const setting of ['NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE']) {
    const path = env[setting]
    if (path) readNamed(path, { found, warn: (why) => warn(`${setting}: ${path} ${why}`) })
  }
  if (!env['SSL_CERT_FILE']) readFirst(system.files, found)
  const folders = (env['SSL_CERT_DIR'] ?? '').split(':').filter((path) => path !== '')
  for (const path of folders) readFolder(path, { found, warn: (why) => warn(`SSL_CERT_DIR: ${path} ${why}`) })
  if (folders.length === 0) {
    for (const path of system.folders) readFolder(path, { found, warn: () => undefined })
  }
  return { found, warnings }
}

/**
 * Makes this process believe them beside those that it believes already: whatever it opens over TLS from now on, to
 * registries, proxies, Redis and an API.
 */
export function believe({ found }: FoundCertificates): void {
  // Node loads it with the first need: it takes 6 MB, and who speaks plain HTTP never has one.
  const tls = process.getBuiltinModule('node:tls')
  const before = tls.getCACertificates('default')
  const known = new Set(before.flatMap(pemCertificates))
  const more = [...found].filter((certificate) => !known.has(certificate))
  if (more.length > 0) tls.setDefaultCACertificates([...before, ...more.map(toPem)])
}

interface Finding {
  found: Set<string>
  /** Says what is wrong with the file or folder that is read. */
  warn: (why: string) => void
}

function readNamed(path: string, { found, warn }: Finding): void {
  const text = textOf(path)
  if (typeof text !== 'string') return warn(`${text.why}, so no certificate of it is trusted`)
  const all = pemCertificates(text)
  const whole = added(all, found)
  if (all.length === 0) return warn(`holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)`)
  if (whole < all.length) warn(`holds ${all.length} certificates, of which ${all.length - whole} cannot be read`)
}

function readFirst(paths: readonly string[], found: Set<string>): void {
  for (const path of paths) {
    const text = textOf(path)
    if (typeof text === 'string') return void added(pemCertificates(text), found)
  }
}

/** How many of them are certificates. */
function added(all: readonly string[], found: Set<string>): number {
  // A system's folder holds what its file holds.
  const whole = all.filter((certificate) => found.has(certificate) || isCertificate(certificate))
  for (const certificate of whole) found.add(certificate)
  return whole.length
}

function readFolder(folder: string, { found, warn }: Finding): void {
  let names: readonly string[]
  try {
    names = certificateNames(folder)
  } catch (error) {
    return warn(`${unreadable(error)}, so no certificate of it is trusted`)
  }
  let certificates = 0
  const failed: string[] = []
  for (const name of names) {
    const text = textOf(join(folder, name))
    if (typeof text === 'string') certificates += added(pemCertificates(text), found)
    else failed.push(`${name} ${text.why}`)
  }
  if (failed.length > 0) return warn(`has ${failed.length} files that are not read; the first: ${failed[0]}`)
  if (certificates === 0) warn('has no file with a certificate in PEM form (-----BEGIN CERTIFICATE-----)')
}

/** Without the links that c_rehash makes beside a file: its second names. */
function certificateNames(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter(
      (entry) => entry.isFile() || (entry.isSymbolicLink() && readlinkSync(join(folder, entry.name)).includes('/')),
    )
    .map(({ name }) => name)
    .toSorted()
}

/** A file's text, or why there is none. */
function textOf(path: string): string | { why: string } {
  try {
    const stat = statSync(path)
    // A pipe would never end.
    if (!stat.isFile()) return { why: 'is no file' }
    if (stat.size > MAX_BYTES) return { why: `is larger than ${MAX_BYTES / 1024 ** 2} MiB` }
    return readFileSync(path, 'latin1')
  } catch (error) {
    return { why: unreadable(error) }
  }
}

function unreadable(error: unknown): string {
  return `cannot be read (${(error as NodeJS.ErrnoException).code ?? String(error)})`
}

/** One that OpenSSL does not take would keep all others from being believed. */
function isCertificate(base64: string): boolean {
  try {
    return new X509Certificate(Buffer.from(base64, 'base64')).raw.length > 0
  } catch {
    return false
  }
}
