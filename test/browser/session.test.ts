import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { after, before, describe, test } from 'node:test'
import type { Browser } from 'playwright-core'
import { barriers, look, openBrowser, picture, THEMES } from '../helpers/browser/pages.ts'
import { buildDashboard } from '../helpers/browser/built-dashboard.ts'
import { CleanupStack } from '../helpers/cleanup.ts'
import { buildPackage } from '../helpers/packages/package-builder.ts'
import { findBrowser } from '../helpers/processes/browser.ts'
import { readyUrl, startLayerd } from '../helpers/processes/layerd.ts'
import { tokenLine, tokensFileWith } from '../helpers/streams/tokens.ts'
import { shortTempDir } from '../helpers/temp-dir.ts'

const skip = findBrowser() === undefined ? 'no chromium is on PATH: the dashboard is not looked at' : false
const TOKEN = 'a-token-of-ada-that-is-long-enough'

/** Markup, 4 KB long, right to left with an override, emoji: what labels of others may say. */
const HOSTILE = [
  '<img src=x onerror="document.title=1">',
  '\u202egnp.exe',
  'שלום עולם',
  '🚢'.repeat(60),
  'long-'.repeat(51),
]

describe('the dashboard where tokens are required', { skip }, () => {
  const stack = new CleanupStack()
  let url = ''
  let tokensFile = ''
  let browser: Browser
  before(async () => {
    buildDashboard()
    tokensFile = await tokensFileWith(
      stack,
      tokenLine('ada', '*', TOKEN),
      tokenLine('eve', 'jobs:read', `${TOKEN}-eve`),
    )
    const daemon = await startLayerd(stack, {
      dataDir: await shortTempDir(stack),
      env: { LAYERD_WORKERS: '1', LAYERD_TOKENS_FILE: tokensFile },
    })
    url = await readyUrl(daemon)
    browser = await openBrowser(stack)
  })
  after(() => stack[Symbol.asyncDispose]())

  test('it asks who one is, says what is wrong, lets in, and lets out when the token ends', async () => {
    const { page } = await look(browser, url)
    await page.goto('/jobs')
    await page.getByLabel('Token').fill('nobody-knows-this-one')
    await page.getByRole('button', { name: 'Log in' }).click()
    await page.getByText('the token is not known').waitFor()
    await page.getByLabel('Token').fill(TOKEN)
    await page.getByRole('button', { name: 'Log in' }).click()
    await page.getByRole('heading', { level: 1, name: 'Jobs' }).waitFor()
    assert.equal(new URL(page.url()).pathname, '/jobs')
    const kept = await page.evaluate(
      'JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href])',
    )
    assert.doesNotMatch(String(kept), new RegExp(TOKEN))
    await writeFile(tokensFile, `${tokenLine('eve', 'jobs:read', `${TOKEN}-eve`)}\n`)
    await page.getByText('You have been logged out').waitFor()
    await writeFile(tokensFile, `${tokenLine('ada', '*', TOKEN)}\n${tokenLine('eve', 'jobs:read', `${TOKEN}-eve`)}\n`)
    await page.context().close()
  })

  for (const theme of THEMES) {
    test(`nobody is kept out by the page itself, ${theme}`, async () => {
      const { page } = await look(browser, url, { theme, width: 360 })
      await page.goto('/')
      await page.getByLabel('Token').waitFor()
      await picture(page, `log-in-${theme}-360`)
      assert.deepEqual(await barriers(page), [])
      await page.context().close()
    })
  }

  test('who may read jobs alone sees these, and no refusals of what was not asked for', async () => {
    const { page } = await look(browser, url)
    await page.goto('/')
    await page.getByLabel('Token').fill(`${TOKEN}-eve`)
    await page.getByRole('button', { name: 'Log in' }).click()
    await page.getByText('Nothing to do').waitFor()
    assert.equal(await page.getByRole('alert').count(), 0)
    await page.context().close()
  })

  test('who may not read the system sees nothing of it, and it is not even asked for', async () => {
    const { page } = await look(browser, url)
    const asked: string[] = []
    page.on('request', (request) => asked.push(new URL(request.url()).pathname + new URL(request.url()).search))
    await page.goto('/')
    await page.getByLabel('Token').fill(`${TOKEN}-eve`)
    await page.getByRole('button', { name: 'Log in' }).click()
    await page.getByText('Nothing to do').waitFor()
    for (const name of ['Store', 'Redis', 'Traffic'])
      assert.equal(await page.getByRole('region', { name }).count(), 0, name)
    await page.getByRole('link', { name: 'System' }).click()
    await page.getByText('show to tokens that have the scope system:read').waitFor()
    for (const name of [/^Workers/, /^Queues/, 'Store', 'Redis', /^Settings/])
      assert.equal(await page.getByRole('region', { name }).count(), 0, String(name))
    await page.getByRole('region', { name: 'layerd' }).getByText('on Node').waitFor()
    assert.deepEqual(
      asked.filter((path) => /^\/v1\/(?:system|stats|queues|workers)|include=/.test(path)),
      [],
    )
    assert.ok(asked.includes('/v1/events'))
    await page.context().close()
  })

  test('who is logged in by a cookie sends a package with it, and shows no token', async () => {
    const { page, complaints } = await look(browser, url)
    await page.goto('/new')
    await page.getByLabel('Token').fill(TOKEN)
    await page.getByRole('button', { name: 'Log in' }).click()
    await page.getByText('Drop a package here').waitFor()
    const shown: (string | undefined)[] = []
    page.on('request', (one) => {
      if (one.url().includes('/v1/uploads')) shown.push(one.headers()['authorization'])
    })
    const folder = await shortTempDir(stack)
    const { path } = await buildPackage(folder, { name: 'coral', layers: 2, layerBytes: 2 * 1024 * 1024 })
    await page.getByLabel('Package to send').setInputFiles(path)
    await page.getByText('sent', { exact: true }).waitFor()
    assert.ok(shown.length >= 2)
    assert.deepEqual(shown.filter(Boolean), [])
    const answer = await fetch(`${url}/v1/uploads`, { headers: { authorization: `Bearer ${TOKEN}` } })
    const { items } = (await answer.json()) as { items: { name: string; state: string }[] }
    assert.deepEqual(
      items.map(({ state }) => state),
      ['complete'],
    )
    assert.deepEqual(
      complaints.filter((one) => !one.includes('401')),
      [],
    )
    await page.context().close()
  })

  test('what others call things is text, however it looks', async () => {
    const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' }
    const labels = Object.fromEntries(HOSTILE.map((value, index) => [`l${index}`, value]))
    const source = 'oci://127.0.0.1:9/team/nemo:1.0.0'
    const answer = await fetch(`${url}/v1/jobs`, {
      method: 'POST',
      headers,
      body: JSON.stringify({ kind: 'pull', source, labels }),
    })
    assert.equal(answer.status, 202, await answer.clone().text())
    const { id } = (await answer.json()) as { id: string }
    const { page, complaints } = await look(browser, url, { width: 360 })
    await page.goto(`/jobs/${id}`)
    await page.getByLabel('Token').fill(TOKEN)
    await page.getByRole('button', { name: 'Log in' }).click()
    for (const value of HOSTILE) await page.getByText(value).first().waitFor()
    assert.equal(await page.title(), 'Job · layerd')
    const wide = await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')
    assert.ok(Number(wide) <= 0, `${String(wide)} px too wide`)
    assert.deepEqual(
      complaints.filter((one) => !one.includes('401')),
      [],
    )
    await page.context().close()
  })
})
