import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import type { Browser, Page } from 'playwright-core'
import type { Job } from '../../src/jobs/model/definitions.ts'
import { type EmptyScene, startEmptyScene } from '../helpers/browser/empty-scene.ts'
import { barriers, look, openBrowser, picture, THEMES, WIDTHS } from '../helpers/browser/pages.ts'
import { becomes } from '../helpers/browser/scene.ts'
import { CleanupStack } from '../helpers/cleanup.ts'
import { freePort } from '../helpers/network/ports.ts'
import { findBrowser } from '../helpers/processes/browser.ts'
import { findProgram } from '../helpers/processes/real-tools.ts'
import { startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import { tempDir } from '../helpers/temp-dir.ts'

const skip = findBrowser() === undefined ? 'no chromium is on PATH: the dashboard is not looked at' : false
const KEPT = { user: 'ann', password: 'sécret-of-ann' }

describe('the page of a job', { skip }, () => {
  const stack = new CleanupStack()
  let scene: EmptyScene
  let browser: Browser
  /** A registry that wants a log-in. */
  let guarded: string

  before(async () => {
    scene = await startEmptyScene(stack)
    guarded = (await startDockerRegistry(stack, { htpasswd: KEPT })).host
    browser = await openBrowser(stack)
  })
  after(() => stack[Symbol.asyncDispose]())

  async function ask(body: object): Promise<Job> {
    const headers = { 'content-type': 'application/json' }
    const answer = await fetch(`${scene.url}/v1/jobs`, { method: 'POST', headers, body: JSON.stringify(body) })
    assert.equal(answer.status, 202, await answer.clone().text())
    return (await answer.json()) as Job
  }

  const publishTo = (host: string, more: object = {}) =>
    ask({
      kind: 'publish',
      source: `file:${scene.small.path}`,
      destination: `oci://${host}/team`,
      options: { plainHttp: true },
      ...more,
    })

  /** The page of a job that is in that state by now. */
  async function pageOf(page: Page, job: Job, state: string): Promise<void> {
    await becomes(scene.url, job, state)
    await page.goto(`/jobs/${job.id}`)
    await page.getByText(state, { exact: true }).first().waitFor()
  }

  async function looksRight(page: Page, name: string): Promise<void> {
    for (const theme of THEMES) {
      await page.emulateMedia({ colorScheme: theme })
      for (const width of WIDTHS) {
        await page.setViewportSize({ width, height: 900 })
        await picture(page, `job-${name}-${theme}-${width}`)
        assert.deepEqual(await barriers(page), [], `${name} ${theme} ${width}`)
        const wide = 'document.documentElement.scrollWidth - document.documentElement.clientWidth'
        assert.ok(Number(await page.evaluate(wide)) <= 0, `${name} at ${width}`)
      }
    }
  }

  test('a job whose log-in was refused goes on with another one, which stands nowhere afterwards', async () => {
    const job = await publishTo(guarded)
    const { page, complaints } = await look(browser, scene.url)
    await pageOf(page, job, 'failed')
    await page.getByText('Retry with another log-in').waitFor()
    await page.getByText(`At ${guarded}`).waitFor()
    await looksRight(page, 'refused')
    assert.equal(await page.getByRole('button', { name: 'Retry with it' }).isDisabled(), true)
    await page.getByLabel('User').fill(KEPT.user)
    await page.getByLabel('Password or token').fill(KEPT.password)
    await page.getByRole('button', { name: 'Retry with it' }).click()
    await page.getByText('succeeded', { exact: true }).first().waitFor()
    await page.getByText('Retry with another log-in').waitFor({ state: 'hidden' })
    const kept = await page.evaluate('JSON.stringify([localStorage, sessionStorage, location.href, history.state])')
    const told = await (await fetch(`${scene.url}/v1/jobs/${job.id}`)).text()
    assert.doesNotMatch(String(kept) + told, /cret-of-ann/)
    assert.deepEqual(complaints, [])
    await page.context().close()
  })

  test('a job is run again with changes: all that was asked for is filled in', async () => {
    const options = { plainHttp: true, manifest: 'image', concurrency: 2, verify: { mode: 'if-possible' } }
    const labels = { team: 'a b', stage: '<b>' }
    const job = await publishTo(scene.registry, { options, labels })
    const { page, complaints } = await look(browser, scene.url)
    await pageOf(page, job, 'succeeded')
    await page.getByRole('link', { name: 'Run again with changes' }).click()
    const registry = page.getByLabel('Registry', { exact: true })
    await page.getByText('was asked for. Change what').waitFor()
    assert.equal(await registry.inputValue(), `oci://${scene.registry}/team`)
    await page.getByText('Options: 4 set').click()
    await looksRight(page, 'again')
    await registry.fill(`oci://${scene.registry}/changed`)
    const [request] = await Promise.all([
      page.waitForRequest((one) => one.method() === 'POST' && one.url().endsWith('/v1/jobs')),
      page.getByRole('button', { name: 'Publish', exact: true }).click(),
    ])
    const { kind, source } = job
    const destination = `oci://${scene.registry}/changed`
    assert.deepEqual(request.postDataJSON(), { kind, source, destination, options, labels })
    await page.waitForURL(/\/jobs\/[0-9a-f-]+$/)
    await page.getByText('succeeded', { exact: true }).first().waitFor()
    assert.deepEqual(complaints, [])
    await page.context().close()
  })

  test('each kind says what came of it, its lines are taken by the tools, and its curl asks for it again', async () => {
    await becomes(scene.url, await publishTo(scene.registry), 'succeeded')
    const source = `oci://${scene.registry}/team/coral:1.0.0`
    const options = { plainHttp: true }
    const jobs = [
      { job: await publishTo(scene.registry), says: 'sent in', line: /^zarf package pull --plain-http/ },
      { job: await ask({ kind: 'pull', source, options }), says: 'brought in', line: /^curl -OJ/ },
      {
        job: await ask({ kind: 'copy', source, destination: `oci://${scene.registry}/copies`, options }),
        says: 'copied in',
        line: /^oras pull --plain-http/,
      },
      { job: await ask({ kind: 'verify', source, options }), says: 'all right', line: undefined },
    ]
    const { page, complaints } = await look(browser, scene.url)
    for (const { job, says, line } of jobs) {
      await pageOf(page, job, 'succeeded')
      await page.getByText(says).first().waitFor()
      await looksRight(page, `${job.kind}-succeeded`)
      await page.getByText('As curl').click()
      const curl = await page.getByLabel('As curl').innerText()
      const again = JSON.parse(await sh(curl)) as Job
      assert.deepEqual([again.kind, again.source, again.options], [job.kind, job.source, job.options])
      if (line === undefined) continue
      const lines = await page.getByRole('region', { name: 'Result' }).locator('dd > code').allInnerTexts()
      const found = lines.find((one) => line.test(one))
      assert.ok(found, `${job.kind}: ${lines.join('\n')}`)
      if (findProgram(found.split(' ')[0] ?? '') !== undefined) await sh(found)
    }
    assert.deepEqual(complaints, [])
    await page.context().close()
  })

  test('what waits says for what and until when, rests when it is paused, and stops when it is canceled', async () => {
    const { page, complaints } = await look(browser, scene.url)
    const job = await publishTo(`127.0.0.1:${await freePort()}`)
    await pageOf(page, job, 'retrying')
    await page
      .getByText(/refused the connection.*, (?:again at .*, )?in \d+ s|again now/)
      .first()
      .waitFor()
    await page.getByText('The last try failed').waitFor()
    await looksRight(page, 'retrying')
    await page.getByRole('button', { name: 'Pause' }).click()
    await page.getByText('paused', { exact: true }).first().waitFor()
    await looksRight(page, 'paused')
    await page.getByRole('button', { name: 'Resume' }).click()
    await page.getByText('paused', { exact: true }).first().waitFor({ state: 'hidden' })
    await page.getByRole('button', { name: 'Cancel' }).click()
    await page.getByText('canceled', { exact: true }).first().waitFor()
    await page.getByText('Retry with another log-in').waitFor()
    await looksRight(page, 'canceled')
    assert.deepEqual(complaints, [])
    await page.context().close()
  })

  async function sh(line: string): Promise<string> {
    const cwd = await tempDir(stack, 'got')
    const { stdout } = await promisify(execFile)('sh', ['-c', line], { cwd, encoding: 'utf8' })
    return stdout
  }
})
