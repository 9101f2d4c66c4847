/**
 * Brings what the npm scripts need, in plain JavaScript that Node 18 runs: the locked packages (Node 24 is one of
 * them, and npm puts node_modules/.bin first in PATH) and, for demo and tests, a few system programs.
 * Silent when all is there. LAYERD_NO_SETUP=1 turns it off.
 *
 *   node src/setup.mjs [--npm-only | --browser] [--ui]
 *     --npm-only leaves the system programs alone, --browser wants one more; --ui builds the dashboard where it is missing or stale
 *   node src/setup.mjs --copy-assets     copies what tsc leaves behind (Lua scripts) from src to dist
 */
import { spawnSync } from 'node:child_process'
import { accessSync, constants, cpSync, existsSync, readFileSync, symlinkSync } from 'node:fs'
import { delimiter, extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const NEEDED_NODE = [24, 12]

/** Each entry: any one of the programs will do; Debian's package brings the first. Without a required one nothing runs. */
const PROGRAMS = [
  { anyOf: ['redis-server', 'valkey-server'], debian: 'redis-server', required: true },
  { anyOf: ['docker-registry', 'registry'], debian: 'docker-registry', required: false },
  { anyOf: ['htpasswd'], debian: 'apache2-utils', required: false },
  { anyOf: ['nginx'], debian: 'nginx-light', required: false },
]
/** What the dashboard is looked at with, by tests alone. */
const BROWSER = { anyOf: ['chromium', 'chromium-browser', 'google-chrome'], debian: 'chromium', required: false }

function main(args) {
  if (args.includes('--copy-assets')) return copyAssets()
  if (process.env.LAYERD_NO_SETUP === '1') return
  if (!packagesAreInstalled()) installPackages()
  linkNode()
  assertNode()
  if (!args.includes('--npm-only')) ensurePrograms(args.includes('--browser') ? [...PROGRAMS, BROWSER] : PROGRAMS)
  if (args.includes('--ui')) buildDashboard()
}

function say(line) {
  process.stderr.write(`setup: ${line}\n`)
}

function fail(line) {
  say(line)
  process.exit(1)
}

/**
 * npm writes node_modules/.package-lock.json as its last step, so an install that was cut short has none. Comparing
 * it with the lockfile also accepts what a plain `npm ci` or `npm install` put there.
 */
function packagesAreInstalled() {
  const installed = readJson('node_modules/.package-lock.json')?.packages
  if (!installed) return false
  const packages = readJson('package-lock.json').packages
  const named = namesOf([packages[''] ?? {}, ...Object.values(installed)])
  const mayLack = (path, locked) => locked.optional === true && !(fitsPlatform(locked) && named.has(nameOf(path)))
  return Object.entries(packages).every(
    ([path, locked]) =>
      path === '' ||
      installed[path]?.version === locked.version ||
      (installed[path] === undefined && mayLack(path, locked)),
  )
}

/** What these ask for: npm leaves out with an optional package what that alone needs. */
function namesOf(packages) {
  return new Set(
    packages.flatMap(({ dependencies, optionalDependencies }) =>
      Object.keys({ ...dependencies, ...optionalDependencies }),
    ),
  )
}

function nameOf(path) {
  return path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)
}

/** Optional packages of other systems are left out by npm, those of another C library too. */
function fitsPlatform({ os, cpu, libc }) {
  const fits = (list, own) => list === undefined || list.includes(own)
  return libc === undefined && fits(os, process.platform) && fits(cpu, process.arch)
}

function readJson(path) {
  try {
    return JSON.parse(readFileSync(join(root, path), 'utf8'))
  } catch {
    return undefined
  }
}

/** No install scripts: nothing here needs them, and each is foreign code that runs unasked. */
function installPackages() {
  say('installing the locked packages (about 300 MB, once)')
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']
  const npm = process.env.npm_execpath
  const result = npm
    ? spawnSync(process.execPath, [npm, ...args], { cwd: root, stdio: ['ignore', 2, 2] })
    : spawnSync('npm', args, { cwd: root, stdio: ['ignore', 2, 2] })
  if (result.status !== 0) fail('npm ci failed; its messages are above')
}

/** `npm ci` of npm 9, which Debian 12 ships, links no program of an optional package (`npm rebuild` would). */
function linkNode() {
  const link = join(root, 'node_modules/.bin/node')
  const program = `node-${process.platform}-${process.arch}/bin/node`
  if (existsSync(link) || !existsSync(join(root, 'node_modules', program))) return
  symlinkSync(join('..', program), link)
}

function assertNode() {
  const brought = join(root, 'node_modules/.bin/node')
  if (!existsSync(brought)) {
    if (isNewEnough(process.versions.node)) return
    fail(`no Node comes with the packages for ${process.platform}-${process.arch}: install Node 24.12 or newer`)
  }
  const { stdout } = spawnSync(brought, ['--version'], { encoding: 'utf8' })
  if (!isNewEnough((stdout ?? '').trim().replace(/^v/, ''))) {
    fail('the Node that comes with the packages does not run here (it needs glibc): install Node 24.12 or newer')
  }
}

/** Vite wants a newer Node than this may be. Without a dashboard everything else works. */
function buildDashboard() {
  const brought = join(root, 'node_modules/.bin/node')
  const node = existsSync(brought) ? brought : process.execPath
  const { status } = spawnSync(node, [join(root, 'tools/ui/build.mjs'), '--if-stale'], { stdio: ['ignore', 2, 2] })
  if (status !== 0) say('the dashboard could not be built; there is none')
}

function isNewEnough(version) {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major > NEEDED_NODE[0] || (major === NEEDED_NODE[0] && minor >= NEEDED_NODE[1])
}

function ensurePrograms(programs) {
  const missing = programs.filter(({ anyOf }) => !anyOf.some(isOnPath))
  if (missing.length === 0) return
  const packages = missing.map(({ debian }) => debian)
  const asRoot = rootCommand()
  if (isOnPath('apt-get') && asRoot) {
    say(`installing ${packages.join(', ')} with apt-get`)
    const [command, ...args] = [...asRoot, 'sh', '-c', APT_SCRIPT, 'sh', ...packages]
    spawnSync(command, args, { stdio: ['ignore', 2, 2] })
  }
  const still = missing.filter(({ anyOf }) => !anyOf.some(isOnPath))
  if (still.length === 0) return
  say(`missing: ${still.map(({ anyOf }) => anyOf.join(' or ')).join(', ')}. Type: ${installLine(still)}`)
  if (still.some(({ required }) => required)) process.exit(1)
}

/** Prefix that runs a command as root without asking, or undefined. */
function rootCommand() {
  if (process.getuid?.() === 0) return []
  return isOnPath('sudo') && spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0
    ? ['sudo', '-n']
    : undefined
}

function installLine(missing) {
  if (isOnPath('apt-get')) return `sudo apt-get install ${missing.map(({ debian }) => debian).join(' ')}`
  if (isOnPath('brew')) return 'brew install redis'
  return "install them with your system's package manager"
}

/** Servers lie where not everybody's PATH leads. */
function isOnPath(name) {
  return [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin'].some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

/**
 * Debian's packages start their services when they are installed, and at each boot. Wanted here are only the
 * programs: a policy that forbids the start stands while apt-get runs (the machine's own is put back), and
 * services that came with this install are not enabled.
 */
const APT_SCRIPT = `
policy=/usr/sbin/policy-rc.d
saved=
restore() { rm -f "$policy"; if [ -n "$saved" ]; then mv "$saved" "$policy"; fi; }
forbids() { [ -x "$policy" ] || return 1; "$policy" "$1" start >/dev/null 2>&1; [ $? -eq 101 ]; }
if ! { forbids redis-server && forbids docker-registry && forbids nginx; }; then
  trap restore EXIT
  trap 'exit 130' INT TERM HUP
  if [ -e "$policy" ]; then saved="$policy.before-layerd"; mv "$policy" "$saved"; fi
  printf '#!/bin/sh\\nexit 101\\n' > "$policy"
  chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=120 "$@" >/dev/null
status=$?
for package in redis-server docker-registry nginx-light; do
  case " $* " in *" $package "*) update-rc.d "\${package%-light}" disable >/dev/null 2>&1 ;; esac
done
exit $status
`

function copyAssets() {
  cpSync(join(root, 'src'), join(root, 'dist'), {
    recursive: true,
    filter: (path) =>
      path !== join(root, 'src/ui') && !['.ts', '.mjs'].includes(extname(path)) && !path.endsWith('tsconfig.json'),
  })
}

main(process.argv.slice(2))
