import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { digestOf } from '../../../src/content/digest.ts'
import { OCI_MANIFEST } from '../../../src/content/media-types.ts'
import type { Cleanup } from '../cleanup.ts'
import type { FakeRegistry } from '../registries/kit/fake-registry.ts'
import type { MemoryRegistry } from '../registries/memory-registry.ts'
import { tempDir } from '../temp-dir.ts'
import { type ArchiveEntry, buildPackage, type BuiltPackage, contentChunks, writeArchive } from './package-builder.ts'
import { putIndex, readPackage } from './pulling.ts'

/** A tar that lies in a package, as bytes. */
export async function innerTar(t: Cleanup, entries: readonly ArchiveEntry[]): Promise<Buffer> {
  const path = join(await tempDir(t, 'inner'), 'inner.tar')
  await writeArchive(path, entries)
  return await readFile(path)
}

export const file = (name: string, content: string | Buffer): ArchiveEntry => ({
  header: { name, mtime: new Date(0) },
  content,
})
export const folder = (name: string): ArchiveEntry => ({ header: { name, type: 'directory', mtime: new Date(0) } })

/** Bytes that no compression shortens. */
export function noise(bytes: number, seed: number): Buffer {
  return Buffer.concat([...contentChunks({ bytes, compressible: 0, seed })])
}

export const VIEWER = '<!doctype html><title>an SBOM</title><script>document.title = "shown"</script>'
export const SBOM = JSON.stringify({ artifacts: [{ name: 'b' }] })
const COMPONENTS = `components:
- name: vessel
  required: true
  images: []
- name: tender
  description: goes along
- name: bare
variables:
- name: GREETING
  default: ahoy
  prompt: true
  sensitive: true
constants:
- name: PORT
  value: "8080"
  pattern: "^[0-9]+$"
`

/** A package that has something for each view: large files lie between the small ones that are looked for. */
export async function inspectedPackage(
  t: Cleanup,
  {
    format = 'tar.zst',
    bulk = 2 ** 20,
    sboms = [],
  }: { format?: 'tar' | 'tar.zst'; bulk?: number; sboms?: ArchiveEntry[] } = {},
): Promise<BuiltPackage> {
  const vessel = [
    ...['vessel', 'vessel/files', 'vessel/files/0'].map(folder),
    file('vessel/files/0/chart.bin', noise(bulk, 1)),
    file('vessel/manifests/greeting-0.yaml', 'kind: ConfigMap\n'),
    file('vessel/manifests/large-1.yaml', Buffer.alloc(2 ** 20 + 1, 'a')),
    file('vessel/manifests/raw-2.yaml', Buffer.from([0xff, 0xfe])),
    file('vessel/repos/a.pack', noise(bulk, 2)),
    file('vessel/values/diver-0.3.1-0', 'replicas: 2\n'),
  ]
  return await buildPackage(await tempDir(t, 'package'), {
    name: 'nemo',
    version: '1.2.0',
    format,
    layers: 0,
    files: {
      'components/vessel.tar': await innerTar(t, vessel),
      'components/tender.tar': await innerTar(t, [
        folder('tender'),
        file('tender/manifests/b-0.yaml', 'kind: Service\n'),
      ]),
      'documentation.tar': await innerTar(t, [folder('.'), file('README.md', '# Nemo\n'), file('NOTES', 'plain\n')]),
      'sboms.tar': await innerTar(t, [
        folder('.'),
        file('a.json', noise(bulk, 3)),
        file('b.json', SBOM),
        file('sbom-viewer-a.html', noise(bulk, 4)),
        file('sbom-viewer-b.html', VIEWER),
        ...sboms,
        file('zarf-component-vessel.json', noise(bulk, 5)),
      ]),
      'values.yaml': 'a: 1\n',
    },
    tamper: { definition: (text) => `${text.slice(0, text.indexOf('components:'))}${COMPONENTS}` },
  })
}

/** Puts a package into a registry as it would be published. Returns its manifest's digest. */
export async function putBuilt(
  registry: MemoryRegistry | FakeRegistry,
  { repository, tag }: { repository: string; tag: string },
  path: string,
): Promise<string> {
  const { files, contents } = await readPackage(path)
  for (const bytes of files.values()) registry.putBlob(repository, bytes)
  registry.putBlob(repository, contents.config.bytes)
  const { bytes } = contents.manifest
  registry.manifests.put(repository, digestOf(bytes), OCI_MANIFEST, bytes)
  const { architecture } = contents.identity
  putIndex(registry as MemoryRegistry, { repository, tag }, [
    { digest: digestOf(bytes), size: bytes.length, architecture },
  ])
  return contents.manifest.digest
}
