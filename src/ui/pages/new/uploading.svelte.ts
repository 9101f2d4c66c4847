import type { DetailedError, Upload } from 'tus-js-client'
import { api, unreachable } from '../../api/client.ts'
import type { Problem } from '../../api/types.ts'
import { chosenFiles, countIn } from './split.ts'

/** `cut`: the connection is away, and it is tried again by itself. */
export type UploadState = 'none' | 'sending' | 'cut' | 'paused' | 'done' | 'refused'

/** A daemon that restarts is back by then, and so is a laptop that slept: both go on by themselves. */
const RETRIES_MS = [500, 1000, 2000, 3000, ...Array.from({ length: 720 }, () => 5000)]
/** The speed of the last seconds. */
const SPEED_MS = 5000

/** One package on its way to the daemon, by tus; it goes on while the person looks at other pages of this tab. A split one goes part by part. */
class Uploading {
  state = $state<UploadState>('none')
  /** Of the package. */
  name = $state('')
  files = $state.raw<readonly File[]>([])
  /** Which of them is under way. */
  at = $state(0)
  sent = $state(0)
  total = $state(0)
  bytesPerSecond = $state<number | null>(null)
  /** Where it went on from, of what had come before. */
  resumedFrom = $state(0)
  refused = $state.raw<Problem | undefined>()
  /** As a job names it. */
  source = $state('')
  #upload: Upload | undefined
  /** Bytes of the files before this one. */
  #before = 0
  /** What has come whole. */
  #ids: string[] = []
  #seen: { at: number; sent: number }[] = []

  constructor() {
    addEventListener('beforeunload', (event) => {
      if (this.state === 'sending' || this.state === 'cut') event.preventDefault()
    })
  }

  /** What was chosen at once. */
  async begin(chosen: readonly File[]): Promise<void> {
    await this.#upload?.abort()
    const { files, name, problem } = await chosenFiles(chosen, countIn)
    this.#reset(files, name)
    if (problem === undefined) await this.#send()
    else this.#refuse(problem)
  }

  async #send(): Promise<void> {
    const file = this.files[this.at]
    if (file === undefined) return
    const { files } = this
    const tus = await import('tus-js-client')
    const upload: Upload = new tus.Upload(file, {
      endpoint: `${location.origin}/v1/uploads`,
      metadata: { filename: file.name },
      retryDelays: RETRIES_MS,
      removeFingerprintOnSuccess: true,
      onProgress: (sent) => this.#moved(sent),
      onShouldRetry: (error) => this.#mayRetry(error),
      onSuccess: () => {
        if (upload === this.#upload) void this.#ended(upload)
      },
      onError: (error) => {
        if (upload === this.#upload) this.#failed(error)
      },
    })
    if (files !== this.files) return
    this.#upload = upload
    const [before] = await upload.findPreviousUploads()
    if (upload !== this.#upload) return
    if (this.state === 'paused') return
    if (before) upload.resumeFromPreviousUpload(before)
    upload.start()
  }

  async pause(): Promise<void> {
    this.state = 'paused'
    this.#still()
    await this.#upload?.abort()
  }

  goOn(): void {
    this.state = 'sending'
    this.refused = undefined
    this.#upload?.start()
  }

  /** What has come goes, too. */
  async cancel(): Promise<void> {
    const [upload, ids] = [this.#upload, this.#ids]
    this.clear()
    // Where it cannot be told now it goes a day later by itself.
    await upload?.abort(true).catch(() => undefined)
    for (const id of ids)
      await api.DELETE('/v1/uploads/{upload}', { params: { path: { upload: id } } }).catch(() => undefined)
  }

  clear(): void {
    this.#upload = undefined
    this.state = 'none'
    this.name = ''
    this.files = []
    this.at = 0
    this.#before = 0
    this.#ids = []
    this.source = ''
    this.refused = undefined
    this.#still()
  }

  #reset(files: readonly File[], name: string): void {
    this.clear()
    this.files = files
    this.name = name
    this.total = files.reduce((sum, { size }) => sum + size, 0)
    this.sent = 0
    this.resumedFrom = 0
    this.state = 'sending'
  }

  #still(): void {
    this.#seen = []
    this.bytesPerSecond = null
  }

  #moved(ofThis: number): void {
    if (this.state !== 'sending' && this.state !== 'cut') return
    const sent = this.#before + ofThis
    if (this.#seen.length === 0 && sent > 0 && this.sent === 0 && sent < this.total) this.resumedFrom = sent
    if (this.state === 'cut') this.#still()
    this.state = 'sending'
    this.sent = sent
    const now = Date.now()
    this.#seen = [...this.#seen.filter(({ at }) => at > now - SPEED_MS), { at: now, sent }]
    const [first] = this.#seen
    if (first && now - first.at > 500) this.bytesPerSecond = ((sent - first.sent) / (now - first.at)) * 1000
  }

  #mayRetry(error: DetailedError): boolean {
    const status = error.originalResponse?.getStatus() ?? 0
    const passes = status === 0 || status >= 500 || [409, 423, 429].includes(status)
    if (passes && this.state === 'sending') {
      this.state = 'cut'
      this.#still()
    }
    return passes
  }

  async #ended(upload: Upload): Promise<void> {
    this.#ids.push(upload.url?.split('/').at(-1) ?? '')
    this.#before += this.files[this.at]?.size ?? 0
    this.sent = this.#before
    if (this.at + 1 < this.files.length) {
      this.at += 1
      await this.#send()
      return
    }
    this.source = `upload:${this.#ids[0] ?? ''}`
    this.state = 'done'
  }

  #failed(error: Error | DetailedError): void {
    this.#refuse(problemOf(error))
  }

  #refuse(problem: Problem): void {
    this.state = 'refused'
    this.#still()
    this.refused = problem
  }
}

function problemOf(error: Error | DetailedError): Problem {
  const body = 'originalResponse' in error ? error.originalResponse?.getBody() : undefined
  try {
    const said: unknown = JSON.parse(body ?? '')
    if (typeof said === 'object' && said !== null && 'code' in said) return said as Problem
  } catch {
    // none of layerd's
  }
  return { ...unreachable(), title: 'Not sent', detail: body === undefined || body === '' ? error.message : body }
}

export const uploading = new Uploading()
