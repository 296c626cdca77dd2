import type { Browser } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { Embedded } from '../../example-app/src/memcached/embedded.ts'
import { until } from '../support/until.ts'
import { RunningApp } from './running-app.ts'
import { launch, Visitor } from './visitor.ts'

let memcached: Embedded
let app: RunningApp
let browser: Browser
let ada: Visitor

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

beforeEach(async () => {
  ada = await Visitor.arrive(browser)
  await ada.signIn(app.url, 'Ada')
})

afterEach(() => ada.context.close())

test('a warning is about the key it was given for, and for no other', async () => {
  await ada.putIn('theme', '"dark"')
  await ada.put('theme', '"light"')
  await ada.page.getByRole('alert').getByText('There is a “theme” already').waitFor()
  await ada.page.getByLabel('Key', { exact: true }).fill('second-theme')
  await ada.press('add')
  await ada.sees('second-theme', '"light"')
  expect(await ada.page.getByRole('alert').count()).toBe(0)
  await ada.sees('theme', '"dark"')
})

describe('the keyboard stays where somebody was', () => {
  const focused = (): Promise<string> =>
    ada.page.evaluate(() => {
      const { activeElement: element } = document
      if (element === null || element === document.body) return 'nowhere'
      return element.getAttribute('aria-label') ?? element.textContent ?? ''
    })
  const expectFocus = (name: string): Promise<unknown> => until(async () => (await focused()).includes(name))

  beforeEach(async () => {
    await ada.putIn('cart', '{"apples": 3}')
    await ada.putIn('theme', '"dark"')
  })

  test('after Escape and after Save, on the row that was open', async () => {
    await ada.page.getByLabel('Edit theme').press('Enter')
    await ada.page.getByLabel('Value of theme, as JSON').press('Escape')
    await expectFocus('Edit theme')
    expect(await ada.row('theme').getAttribute('class')).not.toContain('changed')
    await ada.page.getByLabel('Edit theme').press('Enter')
    await ada.page.getByLabel('Value of theme, as JSON').fill('"light"')
    await ada.page.getByRole('button', { name: 'Save', exact: true }).press('Enter')
    await expectFocus('Edit theme')
    await ada.sees('theme', '"light"')
  })

  test('after a key was put in, on the field for the next one', async () => {
    await ada.put('visits', '42')
    await until(() => ada.page.evaluate(() => document.activeElement?.id === 'add-key'))
    expect(await ada.page.getByLabel('Key', { exact: true }).inputValue()).toBe('')
  })

  test('after Show a code, on the button for another one', async () => {
    await ada.page.getByRole('button', { name: 'Show a code' }).press('Enter')
    await ada.page.locator('.short-code').waitFor()
    await expectFocus('Another code')
  })

  test('after Delete, on what takes it back', async () => {
    await ada.page.getByLabel('Delete theme').press('Enter')
    await ada.row('theme').waitFor({ state: 'detached' })
    await expectFocus('Undo')
    await ada.page.keyboard.press('Enter')
    await ada.sees('theme', '"dark"')
    await expectFocus('Edit theme')
  })

  test('after Stop it, on what brings the server back', async () => {
    await ada.expectTrouble(async () => {
      await ada.page.getByRole('button', { name: 'Stop it' }).press('Enter')
      await ada.page.locator('.server[data-up="no"]').waitFor()
      await expectFocus('Bring it back')
      await memcached.bringBack()
      await ada.page.getByText('Your session has ended').waitFor()
    })
  })
})

test('what is wrong with a value is brought to the eye, and the way out with it', async () => {
  await ada.page.setViewportSize({ width: 1280, height: 620 })
  for (let n = 0; n < 14; n++) await ada.putIn(`key-${n}`, String(n))
  // As somebody would who has scrolled just so far that the form is seen.
  await ada.page.getByLabel('Value, as JSON').evaluate(field => field.scrollIntoView({ block: 'end' }))
  await ada.put('colour', 'blue')
  const problem = ada.page.getByRole('alert')
  await problem.waitFor()
  await until(() => isSeen(problem))
  await until(() => isSeen(ada.page.getByRole('button', { name: 'Save it as text' })))
  await ada.page.getByRole('button', { name: 'Save it as text' }).click()
  await ada.sees('colour', '"blue"')
})

function isSeen(what: ReturnType<Visitor['row']>): Promise<boolean> {
  return what.evaluate(element => {
    const { top, bottom } = element.getBoundingClientRect()
    return top >= 0 && bottom <= innerHeight
  })
}

test('one’s own change stays lit when the news of it comes round', async () => {
  const news = ada.page.waitForResponse(async response => 'x-look' in (await response.request().allHeaders()))
  await ada.putIn('theme', '"dark"')
  const row = await ada.row('theme').elementHandle()
  await (await news).finished()
  await ada.page.evaluate(() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done))))
  expect(await row?.evaluate(element => element.isConnected && element.classList.contains('changed'))).toBe(
    true,
  )
})

test('your browsers are live: who signs in elsewhere shows, and who signs out goes', async () => {
  const phone = await Visitor.arrive(browser)
  await ada.context.clearCookies()
  await ada.signIn(app.url, 'Grace')
  expect(await ada.page.locator('.login').count()).toBe(1)
  await phone.signIn(app.url, 'Grace')
  await ada.page.locator('.login').nth(1).waitFor()
  await phone.page.getByRole('button', { name: 'Sign out', exact: true }).first().click()
  await phone.page.getByLabel('What shall we call you?').waitFor()
  await ada.page.locator('.login').nth(1).waitFor({ state: 'detached' })
  await phone.context.close()
})
