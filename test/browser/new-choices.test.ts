import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { type EmptyScene, startEmptyScene } from '../helpers/browser/empty-scene.ts'
import { barriers, look, openBrowser, picture } from '../helpers/browser/pages.ts'
import { CleanupStack } from '../helpers/cleanup.ts'
import { splitPackage } from '../helpers/packages/split-package.ts'
import { findBrowser } from '../helpers/processes/browser.ts'
import { publishOver } from '../helpers/processes/layerd.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

const skip = findBrowser() === undefined ? 'no chromium is on PATH: the dashboard is not looked at' : false

describe('what is chosen for a new job', { skip }, () => {
  const stack = new CleanupStack()
  let scene: EmptyScene
  let browser: Browser

  before(async () => {
    scene = await startEmptyScene(stack)
    browser = await openBrowser(stack)
  })
  after(() => stack[Symbol.asyncDispose]())

  async function plainHttp(page: Page) {
    await page.getByText('Options', { exact: false }).first().click()
    await page.getByRole('checkbox', { name: 'Plain HTTP to the registry' }).check()
  }

  async function jobs(): Promise<object[]> {
    return ((await (await fetch(`${scene.url}/v1/jobs`)).json()) as { items: object[] }).items
  }

  test('a second click asks for nothing, and a second try is the same job', async () => {
    const { page } = await look(browser, scene.url)
    const asked: { key: string | undefined; id: string | undefined }[] = []
    page.on('request', (one) => {
      if (one.method() === 'POST' && one.url().endsWith('/v1/jobs'))
        asked.push({ key: one.headers()['idempotency-key'], id: undefined })
    })
    const before = (await jobs()).length
    await page.goto(`/new?kind=verify&source=${encodeURIComponent(`file:${scene.small.path}`)}`)
    await page.getByRole('button', { name: 'Verify', exact: true }).waitFor()
    // The daemon takes the job, and its answer is lost on the way.
    let lost = false
    await page.route('**/v1/jobs', async (route) => {
      if (route.request().method() !== 'POST' || lost) return route.fallback()
      lost = true
      await route.fetch()
      await route.abort('connectionreset')
    })
    await page.evaluate(
      '(() => { const form = document.querySelector("form"); form.requestSubmit(); form.requestSubmit() })()',
    )
    await page.getByText('layerd does not answer').waitFor()
    assert.equal(asked.length, 1)
    await page.getByRole('button', { name: 'Verify', exact: true }).click()
    await page.waitForURL(/\/jobs\/[0-9a-f-]+$/)
    assert.equal(asked.length, 2)
    assert.ok(asked[0]?.key)
    assert.equal(asked[0].key, asked[1]?.key)
    assert.equal((await jobs()).length, before + 1)
    await page.context().close()
  })

  test('all parts of a split package are chosen at once, sent, and published as the whole', async () => {
    const { page, complaints } = await look(browser, scene.url)
    const { head, parts } = await splitPackage(scene.small.path, await tempDir(stack, 'split'), 20_000)
    await page.goto(`/new?destination=${encodeURIComponent(`oci://${scene.registry}/split`)}`)
    const chooser = page.getByLabel('Package to send')
    await chooser.setInputFiles([...parts.slice(1), head])
    await page.getByText('choose all parts at once: part001 is not among them').waitFor()
    await chooser.setInputFiles([head, ...parts.slice(0, -1)])
    await page.getByText(`part00${parts.length} is not among them`).waitFor()
    await chooser.setInputFiles([scene.small.path, head])
    await page.getByText('choose one package').waitFor()
    await picture(page, 'new-parts-missing')
    assert.deepEqual(await barriers(page), [])
    await chooser.setInputFiles([...parts.toReversed(), head])
    await page.getByText('sent', { exact: true }).waitFor()
    await page.getByText(`part ${parts.length + 1} of ${parts.length + 1}`).waitFor()
    const choice = page.getByRole('radiogroup', { name: 'Sent before' }).getByRole('radio', { name: /in parts/ })
    await choice.waitFor()
    assert.deepEqual([await choice.count(), await choice.isChecked()], [1, true])
    await picture(page, 'new-parts')
    assert.deepEqual(await barriers(page), [])
    await plainHttp(page)
    await page.getByRole('button', { name: 'Publish' }).click()
    await page.getByText('succeeded', { exact: true }).first().waitFor()
    const manifest = `http://${scene.registry}/v2/split/coral/manifests/1.0.0`
    assert.equal(
      (await fetch(manifest, { headers: { accept: 'application/vnd.oci.image.index.v1+json' } })).status,
      200,
    )
    assert.deepEqual(complaints, [])
    await page.context().close()
  })

  test('fields are completed from what layerd knows, and a package is signed by a key that it keeps', async () => {
    const { page, complaints } = await look(browser, scene.url)
    const headers = { 'content-type': 'application/json' }
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const body = JSON.stringify({ key: privateKey.export({ type: 'pkcs8', format: 'pem' }) })
    const made = await fetch(`${scene.url}/v1/keys/team`, { method: 'PUT', headers, body })
    assert.ok(made.ok, await made.text())
    await publishOver(scene.url, scene.small.path, `${scene.registry}/team`, { plainHttp: true })
    await page.goto(`/new?source=${encodeURIComponent(`file:${scene.small.path}`)}`)
    await page.getByRole('radio', { name: /coral/ }).waitFor()
    assert.equal(await page.getByRole('radio', { name: /coral/ }).isChecked(), true)
    await plainHttp(page)
    const known = (label: string): Promise<string[]> =>
      page.evaluate(`(() => {
        const label = [...document.querySelectorAll('label')].find(({ textContent }) => textContent === ${JSON.stringify(label)})
        return [...label.control.list.options].map(({ value }) => value)
      })()`)
    await waitFor('the key to be known', async () =>
      (await known('Sign with a key that layerd keeps')).includes('team'),
    )
    assert.ok((await known('Registry')).includes(`oci://${scene.registry}/team`))
    await page.getByLabel('Registry', { exact: true }).fill(`oci://${scene.registry}/signed`)
    await page.getByLabel('Sign with a key that layerd keeps').fill('team')
    await page.getByRole('button', { name: 'Publish' }).click()
    await page.getByText('succeeded', { exact: true }).first().waitFor()
    await page.getByText(/^verified: key sha256:|^not checked: key sha256:/).waitFor()
    await picture(page, 'job-signed')
    assert.deepEqual(await barriers(page), [])
    assert.deepEqual(complaints, [])
    await page.context().close()
  })
})
