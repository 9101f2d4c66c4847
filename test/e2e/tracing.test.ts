import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { test, type TestContext } from 'node:test'
import { samplerOf } from '../../src/tracing/spans.ts'
import { wantsTraces } from '../../src/tracing/tracing.ts'
import { FIXTURES } from '../helpers/packages/fixtures.ts'
import { endedOver, readyUrl, startLayerd } from '../helpers/processes/layerd.ts'
import { listenOnLoopback } from '../helpers/network/listening.ts'
import { startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import { shortTempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

interface Span {
  traceId: string
  spanId: string
  parentSpanId?: string
  name: string
  kind: number
  attributes: Array<{ key: string; value: { stringValue?: string; intValue?: number } }>
}

interface Resource {
  attributes: Span['attributes']
}

/** A collector as OTLP/HTTP with JSON has it: what was posted to /v1/traces. Source: OTLP specification 1.x. */
async function startCollector(t: TestContext) {
  const spans: Span[] = []
  const services: unknown[] = []
  const take = async (request: IncomingMessage): Promise<void> => {
    const { resourceSpans = [] } = JSON.parse(await text(request)) as {
      resourceSpans?: Array<{ resource: Resource; scopeSpans: Array<{ spans: Span[] }> }>
    }
    services.push(
      ...resourceSpans.map(
        ({ resource }) => resource.attributes.find(({ key }) => key === 'service.name')?.value.stringValue,
      ),
    )
    if (request.url !== '/v1/traces') return
    spans.push(...resourceSpans.flatMap((one) => one.scopeSpans.flatMap((scope) => scope.spans)))
  }
  const server = createServer((request, response) => {
    take(request).then(
      () => response.writeHead(200, { 'content-type': 'application/json' }).end('{}'),
      () => response.writeHead(400).end(),
    )
  })
  return { spans, services, url: `http://${await listenOnLoopback(t, server)}` }
}

test('OTEL_* asks for traces or not', () => {
  const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318' }
  assert.equal(wantsTraces({}), false)
  assert.equal(wantsTraces(endpoint), true)
  assert.equal(wantsTraces({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://c:4318/v1/traces' }), true)
  assert.equal(wantsTraces({ ...endpoint, OTEL_SDK_DISABLED: 'true' }), false)
  assert.equal(wantsTraces({ ...endpoint, OTEL_TRACES_EXPORTER: 'none' }), false)
})

test('the sampler is the one that the environment names', () => {
  const named = (name?: string, argument?: string) => samplerOf(name, argument).toString()
  assert.match(named(), /^ParentBased\{root=AlwaysOnSampler/)
  assert.match(named('parentbased_traceidratio', '0.25'), /^ParentBased\{root=TraceIdRatioBased\{0\.25\}/)
  assert.equal(named('always_off'), 'AlwaysOffSampler')
  assert.equal(named('traceidratio', 'much'), 'TraceIdRatioBased{1}')
  assert.equal(named('no_such'), 'AlwaysOnSampler')
})

test("a caller's trace goes on through the API and the job to the requests of the registry", async (t) => {
  const collector = await startCollector(t)
  const registry = await startDockerRegistry(t)
  const env = { LAYERD_WORKERS: '1', OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_SERVICE_NAME: 'packages' }
  const layerd = await startLayerd(t, { dataDir: await shortTempDir(t), env })
  const api = await readyUrl(layerd)
  const traceId = '0af7651916cd43dd8448eb211c80319c'
  const traceparent = `00-${traceId}-b7ad6b7169203331-01`
  const put = await fetch(`${api}/v1/uploads/zarf-package-nemo-amd64-1.2.0.tar.zst`, {
    method: 'PUT',
    body: await readFile(FIXTURES.nemoAmd64),
  })
  const { id: upload } = (await put.json()) as { id: string }
  const body = JSON.stringify({
    kind: 'publish',
    source: `upload:${upload}`,
    destination: `oci://${registry.host}/team`,
  })
  const headers = { 'content-type': 'application/json', traceparent }
  const made = (await (await fetch(`${api}/v1/jobs`, { method: 'POST', headers, body })).json()) as {
    id: string
    traceparent: string
  }
  assert.equal(made.traceparent.split('-')[1], traceId)
  const job = await endedOver(api, made.id)
  assert.equal(job.state, 'succeeded')
  assert.deepEqual(await layerd.stop(), { code: 0, signal: null })
  const mine = () => collector.spans.filter((span) => span.traceId === traceId)
  await waitFor('the spans', () => mine().some(({ name }) => name === 'publish job'))
  assert.deepEqual(new Set(collector.services), new Set(['packages']))
  const named = (name: string) => mine().find((span) => span.name === name)
  const server = named('POST /v1/jobs')
  const run = named('publish job')
  assert.equal(server?.parentSpanId, 'b7ad6b7169203331')
  assert.equal(run?.parentSpanId, server?.spanId)
  const attribute = (span: Span | undefined, key: string) => span?.attributes.find((one) => one.key === key)?.value
  assert.equal(attribute(run, 'layerd.job.id')?.stringValue, made.id)
  const requests = mine().filter(({ parentSpanId, kind }) => parentSpanId === run?.spanId && kind === 3)
  assert.ok(requests.length > job.progress.layers.done, `${requests.length} requests`)
  assert.ok(requests.every((span) => attribute(span, 'layerd.registry')?.stringValue === registry.host))
  assert.ok(requests.some((span) => attribute(span, 'http.response.status_code')?.intValue === 201))
})
