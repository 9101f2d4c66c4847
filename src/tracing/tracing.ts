import { AsyncLocalStorage } from 'node:async_hooks'
import { type CallFacts, toldHost, toldPath } from '../oci/errors/errors.ts'
import type { Hooks } from '../oci/request/hooks.ts'
import type { OpenSpan, SpanOptions, Spans } from './spans.ts'

export type Env = Readonly<Record<string, string | undefined>>

/** Traces of what a process does: a request of the API, the runs of its job, their requests to registries. */
export interface Tracing {
  /** Runs a task within a span: what it begins belongs below it. The task ends the span. */
  within<T>(options: SpanOptions, task: (span: OpenSpan) => T): T
  /** For the registry connections: a span for each request that a task within one makes. */
  readonly hooks: Hooks
  /** Sends what was not sent yet, for two seconds at most. Never throws. */
  close(): Promise<void>
}

const CLOSE_MS = 2000

/** Whether OTEL_* asks for traces. Source: OpenTelemetry "Environment Variable Specification", "OTLP exporter". */
export function wantsTraces(env: Env): boolean {
  if (env['OTEL_SDK_DISABLED']?.toLowerCase() === 'true') return false
  const exporter = env['OTEL_TRACES_EXPORTER']
  if (exporter !== undefined && exporter !== '' && exporter !== 'otlp') return false
  return Boolean(env['OTEL_EXPORTER_OTLP_ENDPOINT'] || env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'])
}

/** Undefined where nobody asks for traces: nothing of OpenTelemetry is loaded then. */
export async function openTracing(env: Env, process: { version: string; pid: number }): Promise<Tracing | undefined> {
  if (!wantsTraces(env)) return undefined
  const { openSpans } = await import('./spans.ts')
  return createTracing(openSpans({ ...process, env }))
}

function createTracing(spans: Spans): Tracing {
  const current = new AsyncLocalStorage<OpenSpan>()
  return {
    within(options, task) {
      const span = spans.start(options, current.getStore())
      return current.run(span, () => task(span))
    },
    hooks: requestHooks(spans, () => current.getStore()),
    async close() {
      const late = new Promise<void>((resolve) => void setTimeout(resolve, CLOSE_MS).unref())
      await Promise.race([spans.close().catch(() => undefined), late])
    },
  }
}

/** The time of a request is from its head until the head of its answer, as in the figures. */
function requestHooks(spans: Spans, parent: () => OpenSpan | undefined): Hooks {
  const open = new WeakMap<CallFacts, OpenSpan>()
  return {
    beforeSend(facts) {
      const above = parent()
      if (above === undefined) return
      const attributes = {
        'http.request.method': facts.method,
        'server.address': toldHost(facts).replace(/:[0-9]+$/, ''),
        'url.path': toldPath(facts),
        'layerd.op': facts.op,
        'layerd.registry': facts.registry,
      }
      open.set(facts, spans.start({ name: `${facts.method} ${facts.op}`, kind: 'client', attributes }, above))
    },
    onAnswer(facts, status) {
      const span = open.get(facts)
      span?.set({ 'http.response.status_code': status })
      span?.end(status >= 500 ? `answered ${status}` : undefined)
    },
  }
}
