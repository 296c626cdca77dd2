import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Codes } from '../../example-app/src/join/codes.ts'
import { Embedded } from '../../example-app/src/memcached/embedded.ts'
import { until } from '../support/until.ts'
import { RunningApp } from './running-app.ts'
import { launch, Visitor } from './visitor.ts'

let memcached: Embedded
let app: RunningApp
let browser: Browser
let ada: Visitor
let phone: Visitor

beforeAll(async () => {
  memcached = await Embedded.start()
  app = await RunningApp.start([memcached])
  browser = await launch()
  ada = await Visitor.arrive(browser)
  phone = await Visitor.arrive(browser, {
    viewport: { width: 390, height: 844 },
    isMobile: true,
    hasTouch: true,
  })
})

afterAll(async () => {
  await browser.close()
  await app.stop()
  await memcached.stop()
})

// One tour: each step starts where the one before it ended.

test('the first page is light, and free of barriers', async () => {
  const sizes: Promise<number>[] = []
  ada.page.on('requestfinished', request => {
    sizes.push(
      request
        .sizes()
        .then(({ responseBodySize, responseHeadersSize }) => responseBodySize + responseHeadersSize),
    )
  })
  await ada.page.goto(app.url, { waitUntil: 'networkidle' })
  expect(sizes.length).toBeGreaterThan(2)
  expect((await Promise.all(sizes)).reduce((sum, size) => sum + size)).toBeLessThan(100_000)
  expect(await ada.barriers()).toEqual([])
  ada.page.removeAllListeners('requestfinished')
})

test('a session is signed in to and edited, and wrong JSON loses nothing', async () => {
  await ada.signIn(app.url, 'Ada')
  await ada.putIn('cart', '{"apples": 3}')
  await ada.putIn('theme', '"dark"')
  await ada.page.getByLabel('Key', { exact: true }).fill('draft')
  await ada.page.getByLabel('Value, as JSON').fill('{"pears": ')
  await ada.page.getByRole('button', { name: 'Add', exact: true }).click()
  await ada.page.getByRole('alert').getByText('Something is not closed').waitFor()
  expect(await ada.page.getByLabel('Value, as JSON').inputValue()).toBe('{"pears": ')
  await ada.page.getByLabel('Value, as JSON').fill('{"pears": 1}')
  await ada.page.keyboard.press('Enter')
  await ada.sees('draft', '"pears"')
  await ada.page.getByRole('button', { name: 'Delete draft' }).click()
  await ada.row('draft').waitFor({ state: 'detached' })
})

test('a phone joins the same session by its code, which is good once', async () => {
  const code = await ada.code()
  expect(await ada.barriers()).toEqual([])
  await phone.join(app.url, code)
  await phone.sees('cart', '"apples"')
  expect(await phone.barriers()).toEqual([])
  await ada.page.locator('#browsers li li').nth(1).waitFor()
  await ada.page.getByText('The code is used up').waitFor()

  const stranger = await Visitor.arrive(browser)
  await stranger.expectTrouble(async () => {
    await stranger.join(app.url, code)
    await stranger.page.getByText('has been used already').waitFor()
    await stranger.join(app.url, '2222-2222')
    await stranger.page.getByText('There is no such code').waitFor()
  })
  expect(await stranger.barriers()).toEqual([])
  await stranger.context.close()
})

test('a code that is too old opens nothing', async () => {
  const hasty = await RunningApp.start([memcached], { codeLife: 1 })
  await ada.page.goto(hasty.url)
  await ada.page.locator('#share-button').click()
  await ada.page.getByText('The code has expired').waitFor()
  const { code } = await new Codes([memcached.address], 1).give('x')
  const late = await Visitor.arrive(browser)
  await late.expectTrouble(async () => {
    await late.join(app.url, code)
    await late.page.getByText('more than a minute old').waitFor()
  })
  await late.context.close()
  await ada.page.goto(app.url)
  await hasty.stop()
})

test('what one browser changes, the other shows at once, with its colour', async () => {
  await phone.putIn('from-phone', '"hello"')
  await ada.sees('from-phone', '"hello"')
  expect(await ada.row('from-phone').getAttribute('data-colour')).toBe('teal')
  expect(await ada.row('from-phone').getAttribute('class')).toContain('changed')
  await ada.page.locator('#last-change').getByText('Chrome on Linux 2 set from-phone').waitFor()
  await ada.putIn('from-desktop', '42')
  await phone.sees('from-desktop', '42')
})

test('it does so across processes of the app, and what somebody is typing stays', async () => {
  const second = await RunningApp.start([memcached])
  await phone.page.goto(second.url)
  await ada.page.getByLabel('Edit theme').click()
  const editor = ada.page.getByLabel('Value of theme, as JSON')
  await editor.fill('"light"')
  await ada.page.getByLabel('Key', { exact: true }).fill('half-typed')
  await phone.page.getByLabel('Edit theme').click()
  await phone.page.getByLabel('Value of theme, as JSON').fill('"sepia"')
  await phone.page.getByRole('button', { name: 'Save', exact: true }).click()
  await phone.sees('theme', '"sepia"')
  await phone.putIn('second-process', 'true')
  await ada.sees('second-process', 'true')
  expect(await editor.inputValue()).toBe('"light"')
  expect(await ada.page.getByLabel('Key', { exact: true }).inputValue()).toBe('half-typed')
  await phone.page.goto(app.url)
  await second.stop()
})

test('an edit conflict is told before anything is replaced', async () => {
  await ada.page.getByRole('button', { name: 'Save', exact: true }).click()
  await ada.page.getByRole('alert').getByText('Chrome on Linux 2 changed this meanwhile').waitFor()
  await phone.sees('theme', '"sepia"')
  expect(await ada.barriers()).toEqual([])
  await ada.page.getByRole('button', { name: 'Save', exact: true }).click()
  await phone.sees('theme', '"light"')
})

test('the session survives a restart of the app, and open pages go on', async () => {
  const { port } = app
  await ada.expectTrouble(async () => {
    await phone.expectTrouble(async () => {
      await app.stop()
      app = await RunningApp.start([memcached], { port })
      await until(() =>
        phone.page.evaluate(async () => (await fetch('/health').catch(() => null))?.ok ?? false),
      )
      await phone.putIn('after-restart', '1')
      await ada.sees('after-restart', '1')
    })
  })
})

test('your browsers: one is signed out elsewhere, and notices at once', async () => {
  const tablet = await Visitor.arrive(browser)
  await tablet.signIn(app.url, 'Ada')
  await tablet.page.getByRole('button', { name: 'Sign out everywhere else' }).click()
  await ada.page.getByText('Your session has ended').waitFor()
  await phone.page.getByText('Your session has ended').waitFor()
  expect(await tablet.page.locator('.login').count()).toBe(1)
  await ada.signIn(app.url, 'Ada')
  await tablet.page.reload()
  await tablet.page.locator('.login:not(.here)').getByRole('button').click()
  await tablet.page.getByRole('status').getByText('Signed out Chrome on Linux.').waitFor()
  await ada.page.getByText('Your session has ended').waitFor()
  expect(tablet.errors).toEqual([])
  await tablet.page.getByRole('button', { name: 'Sign out', exact: true }).click()
  await tablet.page.getByText('Signed out. The session is deleted').waitFor()
  await tablet.context.close()
})

test('the overlap test draws what survives here and in an ordinary store', async () => {
  await ada.signIn(app.url, 'Ada')
  await ada.page.getByRole('button', { name: 'Fire 50 requests at once' }).click()
  await ada.page.getByText('This store kept 50 updates, MemoryStore 1').waitFor()
  expect(await ada.page.locator('#overlap .kept').count()).toBe(51)
  expect(await ada.page.locator('#overlap .lost').count()).toBe(49)
})

test('an outage of memcached is told, and the page goes on by itself', async () => {
  await ada.expectTrouble(async () => {
    await memcached.stop()
    await ada.page.getByText(`memcached on ${memcached.address} does not answer`).waitFor()
    await ada.page.getByLabel('Key', { exact: true }).fill('unsaved')
    await ada.page.getByLabel('Value, as JSON').fill('"typed in an outage"')
    await ada.page.getByRole('button', { name: 'Add', exact: true }).click()
    await ada.page.getByRole('alert').getByText('What you typed stays here').waitFor()
    expect(await ada.page.getByLabel('Value, as JSON').inputValue()).toBe('"typed in an outage"')
    expect(await ada.barriers()).toEqual([])
    await memcached.bringBack()
    // Its memory is gone, and with it the session.
    await ada.page.getByText('Your session has ended').waitFor()
  })
  await ada.signIn(app.url, 'Ada')
  await ada.putIn('after-outage', '1')
})

test('no browser had anything to complain about', () => {
  expect(ada.errors).toEqual([])
  expect(phone.errors).toEqual([])
})
