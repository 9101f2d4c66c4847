#!/usr/bin/env node
/**
 * Starts layerd on any Node from 18 on, in plain JavaScript: on the Node that runs this where it is new enough, else on
 * the one that came with the packages. What was built (dist) goes before the sources of a clone.
 */
import { spawn } from 'node:child_process'
import { existsSync, lstatSync, mkdirSync } from 'node:fs'
import module from 'node:module'
import { constants, homedir } from 'node:os'
import { isAbsolute, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const NEEDED_NODE = [24, 12]
const root = new URL('..', import.meta.url)
const main = [new URL('dist/main.js', root), new URL('src/main.ts', root)].find((url) => existsSync(url))

function isNewEnough(version) {
  const [major, minor] = version.split('.').map(Number)
  return major > NEEDED_NODE[0] || (major === NEEDED_NODE[0] && minor >= NEEDED_NODE[1])
}

/** npm lays packages beside this one where it is a dependency itself. */
function nodeOfPackages() {
  const inside = `node_modules/node-linux-${process.arch}/bin/node`
  const beside = `../node-linux-${process.arch}/bin/node`
  return [inside, beside].map((path) => fileURLToPath(new URL(path, root))).find((path) => existsSync(path))
}

function fail(message) {
  process.stderr.write(`layerd: ${message}\n`)
  process.exit(1)
}

/** Ends as the program ends; signals go on to it. */
function run(node) {
  const child = spawn(node, [fileURLToPath(main), ...process.argv.slice(2)], { stdio: 'inherit' })
  for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal))
  child.on('error', (error) => fail(`${node} cannot be started: ${error.message}`))
  child.on('exit', (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)))
}

/**
 * What V8 made of the sources is kept for the next start, which takes half the time. In a folder of this user's own, which nobody
 * else can write to, as what lies there is run; where there can be none, nothing is kept. Children get it by their environment.
 */
function keepCompiled() {
  if (process.env.NODE_COMPILE_CACHE !== undefined || process.env.NODE_DISABLE_COMPILE_CACHE !== undefined) return
  const own = ownFolder()
  if (own === undefined) return
  process.env.NODE_COMPILE_CACHE = join(own, 'compiled')
  // Node before 22 has none, and hands its environment to one that has.
  module.enableCompileCache?.(process.env.NODE_COMPILE_CACHE)
}

/** Of the folders above it the cache alone is made, never a home. */
function ownFolder() {
  const given = process.env.XDG_CACHE_HOME ?? ''
  try {
    const cache = isAbsolute(given) ? given : join(homedir(), '.cache')
    const folder = join(cache, 'layerd')
    for (const path of [cache, folder]) if (!existsSync(path)) mkdirSync(path, { mode: 0o700 })
    const found = lstatSync(folder)
    const isOwn = found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o022) === 0
    return isOwn ? folder : undefined
  } catch {
    return undefined
  }
}

keepCompiled()
if (main === undefined) fail('neither dist/main.js nor src/main.ts is there: this is no whole package of layerd')
else if (isNewEnough(process.versions.node)) await import(main.href)
else {
  const node = nodeOfPackages()
  if (node === undefined) {
    fail(`it needs Node ${NEEDED_NODE.join('.')} or newer, and this is ${process.versions.node}. Run "npm ci" where its package.json lies: that brings one.`)
  } else run(node)
}
