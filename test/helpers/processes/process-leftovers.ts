import { readdir, readFile, readlink } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * What a process's descriptors stand for, from /proc, pipes by their kind alone. No sockets: connections are kept alive
 * between jobs; connectionsTo and Redis's own list count them.
 */
export async function openDescriptors(pid: number | 'self'): Promise<string[]> {
  const targets = (await descriptorTargets(pid)).map((target) => target.replace(/:\[\d+\]$/, ''))
  return targets.filter((target) => target !== 'socket').toSorted()
}

/** Files that a process has open: one that has nothing to do has none. */
export async function openFiles(pid: number | 'self'): Promise<string[]> {
  return (await descriptorTargets(pid)).filter((target) => target.startsWith('/') && !target.startsWith('/dev/'))
}

/** Connections of a process to these hosts (`127.0.0.1:PORT`); an idle one ends after some seconds. */
export async function connectionsTo(pid: number, hosts: readonly string[]): Promise<string[]> {
  const targets = new Set(await descriptorTargets(pid))
  const ports = new Set(hosts.map((host) => Number(host.split(':')[1])))
  const rows = (await readFile(`/proc/${pid}/net/tcp`, 'utf8')).trim().split('\n').slice(1)
  return rows.flatMap((row) => {
    // Source: proc_net(5): local and remote address, state, ..., inode as the tenth.
    const [, , remote = '', state = '', , , , , , inode] = row.trim().split(/\s+/)
    const port = Number.parseInt(remote.split(':')[1] ?? '', 16)
    return ports.has(port) && targets.has(`socket:[${inode}]`) ? [`127.0.0.1:${port} (state ${state})`] : []
  })
}

async function descriptorTargets(pid: number | 'self'): Promise<string[]> {
  const folder = `/proc/${pid}/fd`
  const links = (await readdir(folder)).map((fd) => readlink(join(folder, fd)).catch(() => undefined))
  return (await Promise.all(links)).filter((target) => target !== undefined && !target.startsWith('/proc/')) as string[]
}

export function newDescriptors(before: readonly string[], now: readonly string[]): string[] {
  const known = [...before]
  return now.flatMap((target) => {
    const at = known.indexOf(target)
    if (at === -1) return [`an open descriptor: ${target}`]
    known.splice(at, 1)
    return []
  })
}
