import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { runProcess } from '../helpers/processes/processes.ts'
import type { ComposeProject } from './compose-project.ts'

interface Inspected {
  Config: { User: string; Env: string[]; Cmd: string[] | null }
  HostConfig: {
    ReadonlyRootfs: boolean
    CapDrop: string[] | null
    CapAdd: string[] | null
    SecurityOpt: string[] | null
    Privileged: boolean
    Tmpfs: Record<string, string> | null
  }
  NetworkSettings: { Networks: Record<string, unknown>; Ports: Record<string, { HostIp: string }[] | null> }
}

/** Asserts that the running containers have no more than they need, as the engine and the kernel see it. */
export async function assertConfined(t: TestContext, { name, compose }: ComposeProject): Promise<void> {
  const docker = async (...args: string[]) => {
    const { code, stdout, stderr } = await runProcess(t, 'docker', args)
    assert.equal(code, 0, stderr)
    return stdout
  }
  const services = ['redis', 'layerd', 'registry'] as const
  for (const service of services) {
    const id = (await compose('ps', '-q', service)).trim()
    const [container] = JSON.parse(await docker('inspect', id)) as Inspected[]
    assert.ok(container)
    const { Config, HostConfig, NetworkSettings } = container
    assert.equal(HostConfig.ReadonlyRootfs, true, service)
    assert.equal(HostConfig.Privileged, false, service)
    assert.deepEqual([HostConfig.CapDrop, HostConfig.CapAdd ?? []], [['ALL'], []], service)
    assert.deepEqual(HostConfig.SecurityOpt, ['no-new-privileges:true'], service)
    assert.deepEqual(Object.keys(HostConfig.Tmpfs ?? {}), ['/tmp'], service)
    assert.match(Config.User, /^[0-9]+:[0-9]+$/, service)
    // An image of its own says nothing here: it is the kernel that counts.
    const status = await compose('exec', '-T', service, 'cat', '/proc/1/status')
    assert.match(status, /^NoNewPrivs:\s+1$/m, service)
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) {
      assert.match(status, new RegExp(`^${set}:\\s+0{16}$`, 'm'), `${service} ${set}`)
    }
    await assert.rejects(compose('exec', '-T', service, 'touch', '/etc/hosts.new'), /Read-only file system/)
    await compose('exec', '-T', service, 'touch', '/tmp/anything')
    const hosts = Object.values(NetworkSettings.Ports).flatMap((ports) => (ports ?? []).map(({ HostIp }) => HostIp))
    assert.deepEqual([...new Set(hosts)], service === 'redis' ? [] : ['127.0.0.1'], service)
    const networks = { redis: ['redis'], layerd: ['default', 'redis'], registry: ['default'] }[service]
    assert.deepEqual(
      Object.keys(NetworkSettings.Networks).toSorted(),
      networks.map((network) => `${name}_${network}`),
    )
  }
  assert.equal((await docker('network', 'inspect', '--format', '{{.Internal}}', `${name}_redis`)).trim(), 'true')
  await assertPassword(compose)
}

/** What Redis answers to a caller without its password, from where layerd is; and that its password stands in no environment. */
async function assertPassword(compose: ComposeProject['compose']): Promise<void> {
  const ask =
    "require('net').connect(6379, 'redis').on('data', (said) => { console.log(String(said)); process.exit() }).write('KEYS *\\r\\n')"
  assert.match(await compose('exec', '-T', 'layerd', 'node', '-e', ask), /^-NOAUTH/m)
  await assert.rejects(compose('exec', '-T', 'registry', 'getent', 'hosts', 'redis'))
  for (const service of ['redis', 'layerd']) {
    const seen = await compose(
      'exec',
      '-T',
      service,
      'sh',
      '-c',
      "tr '\\0' ' ' < /proc/1/environ; tr '\\0' ' ' < /proc/1/cmdline",
    )
    assert.doesNotMatch(seen, /[0-9a-f]{64}/, service)
  }
}
