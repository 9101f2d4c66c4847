import { type Attributes, ROOT_CONTEXT, type Span, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { defaultResource, detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources'
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  type Sampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace'

export interface SpanOptions {
  name: string
  kind: 'server' | 'consumer' | 'client'
  /** What it belongs to, of another process: W3C Trace Context. Default: the span around it, else a trace of its own. */
  traceparent?: string | undefined
  attributes?: Attributes
}

export interface OpenSpan {
  readonly span: Span
  /** For whoever goes on elsewhere. */
  readonly traceparent: string
  set(attributes: Attributes): void
  /** `error`: what went wrong. */
  end(error?: string): void
}

export interface Spans {
  start(options: SpanOptions, parent: OpenSpan | undefined): OpenSpan
  close(): Promise<void>
}

const KINDS = { server: SpanKind.SERVER, consumer: SpanKind.CONSUMER, client: SpanKind.CLIENT } as const

/** Of this process; what the environment says of it goes before what we do. */
export interface SpanSettings {
  version: string
  pid: number
  /** OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER, OTEL_TRACES_SAMPLER_ARG. */
  env: Readonly<Record<string, string | undefined>>
}

/**
 * Spans that go to the collector that OTEL_* names, in batches. Exporter and resource detector read the environment themselves,
 * the rest of this SDK does not.
 */
export function openSpans({ version, pid, env }: SpanSettings): Spans {
  const own = resourceFromAttributes({ 'service.name': 'layerd', 'service.version': version, 'process.pid': pid })
  const given = detectResources({ detectors: [envDetector] })
  const name = env['OTEL_SERVICE_NAME']
  const resource = defaultResource()
    .merge(own)
    .merge(given)
    .merge(resourceFromAttributes(name ? { 'service.name': name } : {}))
  const exporter = new OTLPTraceExporter()
  const sampler = samplerOf(env['OTEL_TRACES_SAMPLER'], env['OTEL_TRACES_SAMPLER_ARG'])
  const provider = new TracerProvider({ resource, sampler, spanProcessors: [new BatchSpanProcessor({ exporter })] })
  const tracer = provider.getTracer('layerd', version)
  return {
    start({ name: spanName, kind, traceparent, attributes = {} }, parent) {
      const above = parent ? trace.setSpan(ROOT_CONTEXT, parent.span) : remoteContext(traceparent)
      return opened(tracer.startSpan(spanName, { kind: KINDS[kind], attributes }, above))
    },
    close: () => provider.shutdown(),
  }
}

function remoteContext(traceparent: string | undefined) {
  const [, traceId, spanId, flags] = traceparent?.split('-') ?? []
  if (traceId === undefined || spanId === undefined) return ROOT_CONTEXT
  const traceFlags = Number.parseInt(flags ?? '01', 16)
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags, isRemote: true })
}

function opened(span: Span): OpenSpan {
  const { traceId, spanId, traceFlags } = span.spanContext()
  return {
    span,
    traceparent: `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`,
    set: (attributes) => void span.setAttributes(attributes),
    end(error) {
      if (error !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: error })
      span.end()
    },
  }
}

/** Source: OpenTelemetry "General SDK Configuration": parentbased_always_on unless another is named. */
export function samplerOf(name = 'parentbased_always_on', argument?: string): Sampler {
  const plain = name.replace(/^parentbased_/, '')
  const root =
    plain === 'always_off' ? new AlwaysOffSampler() : plain === 'traceidratio' ? ratio(argument) : new AlwaysOnSampler()
  return name.startsWith('parentbased_') ? new ParentBasedSampler({ root }) : root
}

function ratio(argument: string | undefined): Sampler {
  const part = Number(argument ?? 1)
  return new TraceIdRatioBasedSampler(part >= 0 && part <= 1 ? part : 1)
}
