import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, describe, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { type EmptyScene, startEmptyScene } from '../helpers/browser/empty-scene.ts'
import { barriers, look, openBrowser, picture, THEMES, WIDTHS } from '../helpers/browser/pages.ts'
import { CleanupStack } from '../helpers/cleanup.ts'
import { buildBundle } from '../helpers/packages/bundle-builder.ts'
import { inspectedPackage } from '../helpers/packages/inspected.ts'
import { buildPackage } from '../helpers/packages/package-builder.ts'
import { copyFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { findBrowser } from '../helpers/processes/browser.ts'
import { endedOver, publishOver } from '../helpers/processes/layerd.ts'
import { waitFor } from '../helpers/wait-for.ts'

const skip = findBrowser() === undefined ? 'no chromium is on PATH: the dashboard is not looked at' : false
const STRIKE = '<img src=x onerror=document.title="struck">'
const LONG = `‮evil‬ عربي 🦑 ${'w'.repeat(4096)}`

describe('the pages of packages', { skip }, () => {
  const stack = new CleanupStack()
  let scene: EmptyScene
  let browser: Browser
  const digests = { nemo: '', hostile: '', convoy: '' }

  before(async () => {
    scene = await startEmptyScene(stack)
    browser = await openBrowser(stack)
    const nemo = (await inspectedPackage(stack, { bulk: 4096 })).path
    await copyFile(nemo, join(scene.root, basename(nemo)))
    digests.nemo = await stored(basename(nemo), 'nemo:1.2.0')
    const description = `${STRIKE} ${LONG}`
    await buildPackage(scene.root, {
      name: 'hostile',
      metadata: { description },
      tamper: {
        definition: (text) =>
          text.replaceAll(/^( *)- name: (\S+)$/gm, `$1- name: $2\n$1  description: ${JSON.stringify(description)}`),
      },
    })
    digests.hostile = await stored('zarf-package-hostile-amd64-1.0.0.tar.zst', 'hostile:1.0.0')
    const bundle = await buildBundle(scene.root, { packages: [{ name: 'coral' }, { name: 'orca', seed: 3 }] })
    digests.convoy = await stored(bundle.fileName, 'convoy:1.0.0')
  })
  after(() => stack[Symbol.asyncDispose]())

  const reference = (name: string) => `oci://${scene.registry}/team/${name}`
  const remote = (name: string) => `/packages?plainHttp=true&ref=${encodeURIComponent(reference(name))}`

  /** Published from the folder, and pulled. */
  async function stored(fileName: string, name: string): Promise<string> {
    const { id } = await publishOver(scene.url, join(scene.root, fileName), `${scene.registry}/team`, {
      plainHttp: true,
    })
    assert.equal((await endedOver(scene.url, id)).state, 'succeeded')
    const response = await fetch(`${scene.url}/v1/jobs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ kind: 'pull', source: reference(name), options: { plainHttp: true } }),
    })
    const pull = await endedOver(scene.url, ((await response.json()) as { id: string }).id)
    assert.equal(pull.state, 'succeeded')
    return pull.result?.digest ?? ''
  }

  for (const theme of THEMES) {
    test(`axe finds nothing, ${theme}, and nothing is wider than the window`, async () => {
      for (const width of WIDTHS) {
        const { page, complaints } = await look(browser, scene.url, { theme, width })
        for (const [name, path, shows] of [
          ['packages', '/packages', 'hostile'],
          ['package', `/packages/${digests.nemo}`, 'vessel'],
          ['package-hostile', `/packages/${digests.hostile}`, 'onerror'],
          ['package-remote', remote('nemo:1.2.0'), 'vessel'],
          ['repository', remote('nemo'), '1.2.0'],
          ['bundle', `/packages/${digests.convoy}`, 'orca'],
          ['bundle-remote', remote('convoy:1.0.0'), 'orca'],
        ] as const) {
          await page.goto(path)
          await page.getByText(shows).first().waitFor()
          await openAll(page)
          await picture(page, `${name}-${theme}-${width}`)
          assert.deepEqual(await barriers(page), [], `${name} ${theme} ${width}`)
          const wide = 'document.documentElement.scrollWidth - document.documentElement.clientWidth'
          assert.ok(Number(await page.evaluate(wide)) <= 0, `${name} at ${width}`)
          assert.doesNotMatch(await page.title(), /struck/)
        }
        // A bundle is refused as a package first, which the browser itself says.
        assert.deepEqual(
          complaints.filter((one) => !one.includes('status of 422')),
          [],
        )
        await page.context().close()
      }
    })
  }

  test('a package is found by a part of its name, and its parts are asked for when they are opened', async () => {
    const { page } = await look(browser, scene.url)
    await page.goto('/packages')
    await page.getByRole('searchbox', { name: 'Search the store' }).fill('NEM')
    await page.waitForURL(/q=NEM/)
    await page.getByRole('link', { name: /hostile/ }).waitFor({ state: 'hidden' })
    const asked: string[] = []
    page.on('request', (request) => asked.push(new URL(request.url()).pathname))
    await page.getByRole('link', { name: /nemo/ }).first().click()
    await page.getByRole('heading', { level: 1, name: /nemo/ }).waitFor()
    await page.getByText('vessel', { exact: true }).first().waitFor()
    assert.ok(!asked.some((path) => path.endsWith('/variables')), asked.join(' '))
    await page.getByText('Variables', { exact: true }).click()
    await page.getByText('GREETING').waitFor()
    await page.getByText('SBOMs', { exact: true }).click()
    const viewer = page.getByRole('link', { name: 'sbom-viewer-b.html' })
    const [tab] = await Promise.all([page.waitForEvent('popup'), viewer.click()])
    await tab.waitForLoadState()
    assert.match(tab.url(), /\/sboms\/sbom-viewer-b\.html$/)
    await page.context().close()
  })

  test('an archive is downloaded, and a package is published elsewhere from its page', async () => {
    const { page } = await look(browser, scene.url)
    await page.goto(`/packages/${digests.nemo}`)
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('link', { name: 'Download', exact: true }).click(),
    ])
    assert.equal(download.suggestedFilename(), 'zarf-package-nemo-amd64-1.2.0.tar.zst')
    assert.ok((await readFile(await download.path())).length > 0)
    await page.getByRole('link', { name: 'Publish elsewhere' }).click()
    await page.getByRole('heading', { level: 1, name: 'New job' }).waitFor()
    assert.ok(await page.getByRole('radio', { name: /^nemo/ }).isChecked())
    await page.context().close()
  })

  test('a repository tells its tags, and what the registry does not have is told in its words', async () => {
    const { page } = await look(browser, scene.url)
    await page.goto('/packages')
    await page.getByLabel('Reference').fill(`${scene.registry}/team/nemo`)
    await page.getByRole('checkbox', { name: 'Plain HTTP' }).check()
    await page.getByRole('button', { name: 'Look' }).click()
    await page.getByRole('region', { name: /^Tags/ }).getByRole('link', { name: '1.2.0' }).click()
    await page.getByRole('heading', { level: 2, name: /nemo/ }).waitFor()
    await page.getByText('Sizes', { exact: true }).click()
    await page.getByText(/in all/).waitFor()
    assert.match((await page.getByRole('link', { name: 'Pull' }).getAttribute('href')) ?? '', /kind=pull&source=oci/)
    await page.goto(remote('nobody:1.0.0'))
    await page.getByText('MANIFEST_NOT_FOUND').waitFor()
    await page.context().close()
  })

  test('a package goes once it was asked whether it should', async () => {
    const { page, complaints } = await look(browser, scene.url)
    await page.goto(`/packages/${digests.hostile}`)
    await page.getByRole('button', { name: 'Delete', exact: true }).click()
    await page.getByRole('dialog').waitFor()
    assert.deepEqual(await barriers(page), [])
    await picture(page, 'package-delete')
    await page.getByRole('button', { name: 'Keep it' }).click()
    await page.getByRole('dialog').waitFor({ state: 'hidden' })
    await page.getByRole('button', { name: 'Delete', exact: true }).click()
    await page.getByRole('button', { name: 'Delete it' }).click()
    await page.waitForURL(/\/packages$/)
    await page.getByRole('link', { name: /nemo/ }).first().waitFor()
    const gone = async () => (await fetch(`${scene.url}/v1/packages/${digests.hostile}`)).status === 404
    await waitFor('the package to be gone', gone)
    assert.equal(await page.getByRole('link', { name: /hostile/ }).count(), 0)
    assert.deepEqual(complaints, [])
    await page.context().close()
  })
})

/** Each part, with what it has. */
async function openAll(page: Page): Promise<void> {
  for (const summary of await page.locator('summary').all()) await summary.click()
  const looking = page.getByText('Looking …')
  await waitFor('all parts to have come', async () => (await looking.count()) === 0)
}
