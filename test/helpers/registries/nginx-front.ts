import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Cleanup } from '../cleanup.ts'
import type { TestCertificate } from '../network/certificate.ts'
import { freePort, listens } from '../network/ports.ts'
import { startProcess } from '../processes/processes.ts'
import { findProgram } from '../processes/real-tools.ts'
import { tempDir } from '../temp-dir.ts'
import { waitFor } from '../wait-for.ts'

export interface NginxFrontOptions {
  /** Listen here rather than on a free port. */
  port?: number
  /** Speak TLS with this certificate. */
  tls?: TestCertificate
  /** Lines of nginx's http block, such as a zone of limit_req. */
  http?: readonly string[]
  /** Lines of its server block, such as client_max_body_size. Default there: 1m, as nginx's own. */
  server?: readonly string[]
  /** Header by value that the registry gets, as nginx's variables. Default: Host and X-Forwarded-Proto as a guide of distribution has them. */
  headers?: Readonly<Record<string, string>>
  /** Lines of an htpasswd file: nginx itself asks for Basic. */
  htpasswd?: string
}

export interface NginxFront {
  /** 127.0.0.1:PORT, as in a reference. */
  readonly host: string
  readonly url: string
  /** What it has written: `METHOD URI STATUS` of each request that is over, in order. */
  requests(): string[]
}

/** $http_host has the port, $host has not. */
const HEADERS = { Host: '$http_host', 'X-Forwarded-Proto': '$scheme' }

/**
 * A real nginx before a registry that speaks plain HTTP on `target` (host:port), on a free loopback port, with the
 * temporary files of its own; gone when the test ends. Debian's nginx-light is enough.
 */
export async function startNginxFront(
  t: Cleanup,
  target: string,
  options: NginxFrontOptions = {},
): Promise<NginxFront> {
  const program = findProgram('nginx')
  if (program === undefined) throw new Error('nginx is not on PATH: apt-get install nginx-light')
  const folder = await tempDir(t, 'nginx')
  const port = options.port ?? (await freePort())
  const { tls, htpasswd } = options
  if (tls) {
    await writeFile(join(folder, 'front.crt'), tls.certPem)
    await writeFile(join(folder, 'front.key'), tls.keyPem, { mode: 0o600 })
  }
  if (htpasswd !== undefined) await writeFile(join(folder, 'htpasswd'), htpasswd)
  const config = join(folder, 'nginx.conf')
  await writeFile(config, configuration(folder, { port, target }, options))
  const child = await startProcess(t, program, ['-p', folder, '-c', config, '-e', 'stderr'])
  const url = `${tls ? 'https' : 'http'}://127.0.0.1:${port}`
  await waitFor('nginx to listen, or end', async () => !child.isRunning() || (await listens(port)))
  if (!child.isRunning()) throw new Error(`nginx ended:\n${child.output()}`)
  const requests = () => {
    const lines = readFileSync(join(folder, 'access.log'), 'utf8').split('\n')
    return lines.filter((line) => line !== '')
  }
  return { host: `127.0.0.1:${port}`, url, requests }
}

interface Places {
  port: number
  /** host:port of the registry. */
  target: string
}

/** Alone in its process: no workers of another user, who could not write into the folder. */
function configuration(folder: string, { port, target }: Places, options: NginxFrontOptions): string {
  const { tls, http = [], server = [], headers = HEADERS, htpasswd } = options
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  return `
daemon off;
master_process off;
pid ${folder}/nginx.pid;
events { worker_connections 512; }
http {
  log_format brief '$request_method $request_uri $status';
  access_log ${folder}/access.log brief;
  ${temporary.map((name) => `${name}_temp_path ${folder}/${name};`).join('\n  ')}
  ${http.join('\n  ')}
  server {
    listen 127.0.0.1:${port}${tls ? ' ssl' : ''};
    ${tls ? `ssl_certificate ${folder}/front.crt; ssl_certificate_key ${folder}/front.key;` : ''}
    ${htpasswd === undefined ? '' : `auth_basic front; auth_basic_user_file ${folder}/htpasswd;`}
    ${server.join('\n    ')}
    location / {
      proxy_pass http://${target};
      proxy_http_version 1.1;
      ${Object.entries(headers)
        .map(([name, value]) => `proxy_set_header ${name} ${value};`)
        .join('\n      ')}
    }
  }
}
`
}
