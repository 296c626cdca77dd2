import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Embedded } from '../../example-app/src/memcached/embedded.ts'
import { RunningApp } from './running-app.ts'
import { launch, Visitor } from './visitor.ts'

let memcached: Embedded
let app: RunningApp
let browser: Browser

beforeAll(async () => {
  memcached = await Embedded.start()
  app = await RunningApp.start([memcached])
  browser = await launch()
})

afterAll(async () => {
  await browser.close()
  await app.stop()
  await memcached.stop()
})

test('leads the first page: it runs by itself once, above the sign-in, and can be installed from there', async () => {
  const ada = await Visitor.arrive(browser)
  await ada.context.grantPermissions(['clipboard-read', 'clipboard-write'])
  let runs = 0
  ada.page.on('request', request => {
    if (request.url().endsWith('/overlap')) runs++
  })
  await ada.page.goto(app.url)
  await ada.page.getByText('50 of 50').waitFor()
  await ada.page.getByText('1 of 50', { exact: true }).waitFor()
  await ada.page.getByText('49 lost').waitFor()
  await ada.page.getByText('This store kept 50 updates, MemoryStore 1').waitFor()
  expect(await ada.page.locator('#overlap .kept').count()).toBe(51)
  expect(await ada.page.locator('#overlap .lost').count()).toBe(49)
  expect(runs).toBe(1)
  const top = (selector: string): Promise<number> =>
    ada.page.locator(selector).evaluate(element => element.getBoundingClientRect().top)
  expect(await top('#overlap')).toBeLessThan(await top('#name'))
  await ada.page.getByRole('button', { name: 'Copy' }).click()
  await ada.page.getByRole('button', { name: 'Copied' }).waitFor()
  expect(await ada.page.evaluate(() => navigator.clipboard.readText())).toBe(
    'npm install express-session-memcached',
  )

  // In a session it stays what it was, with the last outcome, until somebody runs it again.
  await ada.page.getByLabel('What shall we call you?').fill('Ada')
  await ada.page.getByRole('button', { name: 'Sign in' }).click()
  await ada.heading('Session data').waitFor()
  await ada.page.getByText('49 lost').waitFor()
  expect(await ada.page.locator('.primary').allTextContents()).toEqual(['Fire 50 requests at once'])
  expect(runs).toBe(1)
  expect(ada.errors).toEqual([])
  await ada.context.close()
})

test('is seen on a phone within a screen and a half', async () => {
  const viewport = { width: 360, height: 780 }
  const ada = await Visitor.arrive(browser, { viewport, isMobile: true, hasTouch: true })
  for (const enter of [() => ada.page.goto(app.url), () => ada.signIn(app.url, 'Ada')]) {
    await enter()
    await ada.page.getByText('49 lost').waitFor()
    const bottom = await ada.page
      .locator('#overlap .sides')
      .evaluate(sides => sides.getBoundingClientRect().bottom + scrollY)
    expect(bottom).toBeLessThan(1.5 * viewport.height)
  }
  // Actions stand under the value, and no key is broken.
  await ada.putIn('a-long-key-of-three-lines', '"value"')
  const row = ada.row('a-long-key-of-three-lines')
  const box = async (selector: string): Promise<{ y: number; height: number }> =>
    (await row.locator(selector).boundingBox()) as { y: number; height: number }
  const [key, value, actions] = await Promise.all(['.key', '.json', '.actions'].map(box))
  expect(key?.height).toBeLessThan(30)
  expect(actions?.y).toBeGreaterThanOrEqual((value?.y ?? 0) + (value?.height ?? 0) - 1)
  await ada.context.close()
})

test('the rows of a session line up', async () => {
  const ada = await Visitor.arrive(browser)
  await ada.signIn(app.url, 'Ada')
  await ada.putIn('cart', '{"apples": 3}')
  await ada.putIn('newsletter', 'true')
  await ada.putIn('preferences', JSON.stringify({ text: 'many words '.repeat(20) }))
  const rows = await ada.page.locator('.value').all()
  const heights = await Promise.all(rows.map(row => row.evaluate(({ clientHeight }) => clientHeight)))
  for (const height of heights) expect(Math.abs(height - 40)).toBeLessThanOrEqual(1)
  await ada.page.locator('.type', { hasText: 'boolean' }).waitFor()
  const time = ada.page.locator('.value time').first()
  expect(await time.textContent()).toMatch(/just now|\d+ s ago/)
  expect(await time.getAttribute('title')).toMatch(/\d{4}/)
  await ada.page.getByText('Show all').click()
  await ada.page.locator('.long pre').waitFor()
  await ada.context.close()
})

test('runs on where memcached does not answer: the page says so, and keeps the name', async () => {
  const away = await Embedded.start()
  const lonely = await RunningApp.start([away])
  await away.stop()
  const ada = await Visitor.arrive(browser)
  await ada.expectTrouble(async () => {
    await ada.page.goto(lonely.url)
    await ada.page.getByText('memcached does not answer; try again').waitFor()
    await ada.page.getByLabel('What shall we call you?').fill('Ada')
    await ada.page.getByRole('button', { name: 'Sign in' }).click()
    await ada.page.getByRole('alert').getByText(`memcached on ${away.address} does not answer`).waitFor()
    expect(await ada.page.getByLabel('What shall we call you?').inputValue()).toBe('Ada')
    await ada.page.getByRole('button', { name: 'Bring it back' }).click()
    await ada.page.getByLabel('What shall we call you?').waitFor()
  })
  await ada.context.close()
  await lonely.stop()
  await away.stop()
})
