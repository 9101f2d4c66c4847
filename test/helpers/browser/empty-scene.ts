import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import type { Cleanup } from '../cleanup.ts'
import { buildPackage, type BuiltPackage } from '../packages/package-builder.ts'
import { readyUrl, startLayerd } from '../processes/layerd.ts'
import type { RunningProcess } from '../processes/processes.ts'
import { startDockerRegistry } from '../registries/docker-registry.ts'
import { shortTempDir, tempDir } from '../temp-dir.ts'
import { buildDashboard } from './built-dashboard.ts'

/** A daemon that has done nothing yet, a registry, and a folder with packages. */
export interface EmptyScene {
  url: string
  daemon: RunningProcess
  /** host:port, over plain HTTP. */
  registry: string
  root: string
  small: BuiltPackage
}

export async function startEmptyScene(t: Cleanup): Promise<EmptyScene> {
  buildDashboard()
  const registry = await startDockerRegistry(t)
  const [dataDir, root] = [await shortTempDir(t), await tempDir(t, 'root')]
  const small = await buildPackage(root, { name: 'coral', layers: 3, layerBytes: 20_000 })
  const daemon = await startLayerd(t, { dataDir, env: { LAYERD_WORKERS: '1', LAYERD_FILE_ROOTS: root } })
  return { url: await readyUrl(daemon), daemon, registry: registry.host, root, small }
}

/** What nobody should name a file, and somebody will. */
export const HOSTILE_NAMES = [
  '<img src=x onerror=document.title="struck">',
  '<script>document.title="struck"</script>',
  '‮evil‬ عربي 🦑👩‍👩‍👧',
] as const

/** Files of such names, one of them at the end of a path of nearly 4 KB. */
export async function writeHostileFiles(root: string): Promise<void> {
  for (const name of HOSTILE_NAMES) {
    const told = `zarf-package-${name.replaceAll('/', '⁄')}-amd64-1.0.0.tar.zst`
    await writeFile(join(root, told), 'none')
  }
  const deep = join(root, ...Array.from({ length: 14 }, (_, at) => `${at}`.padEnd(245, 'w')))
  await mkdir(deep, { recursive: true })
  await writeFile(join(deep, 'zarf-package-deep-amd64-1.0.0.tar.zst'), 'none')
}

/** As when a person drags it there from a file manager. */
export async function dropFile(page: Page, selector: string, file: { name: string; bytes: Buffer }): Promise<void> {
  const [name, text] = [JSON.stringify(file.name), JSON.stringify(file.bytes.toString('base64'))]
  const dataTransfer = await page.evaluateHandle(`(() => {
    const transfer = new DataTransfer()
    const bytes = Uint8Array.from(atob(${text}), (letter) => letter.charCodeAt(0))
    transfer.items.add(new File([bytes], ${name}))
    return transfer
  })()`)
  await page.dispatchEvent(selector, 'dragover', { dataTransfer })
  await page.dispatchEvent(selector, 'drop', { dataTransfer })
}

/** Bytes a second that the page may send; gives what ends that. Source: the DevTools protocol's Network.emulateNetworkConditions. */
export async function slowUploads(page: Page, bytesPerSecond: number): Promise<() => Promise<void>> {
  const devtools = await page.context().newCDPSession(page)
  const limited = (uploadThroughput: number) =>
    devtools.send('Network.emulateNetworkConditions', {
      offline: false,
      latency: 0,
      downloadThroughput: -1,
      uploadThroughput,
    })
  await devtools.send('Network.enable')
  await limited(bytesPerSecond)
  return async () => {
    await limited(-1)
  }
}
