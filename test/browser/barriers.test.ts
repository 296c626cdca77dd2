import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Embedded } from '../../example-app/src/memcached/embedded.ts'
import { until } from '../support/until.ts'
import { RunningApp } from './running-app.ts'
import { launch, Visitor } from './visitor.ts'

const SIZES = [
  { width: 320, height: 640 },
  { width: 390, height: 844 },
  { width: 768, height: 1024 },
  { width: 1280, height: 900 },
  { width: 1920, height: 1080 },
]

let servers: Embedded[]
let app: RunningApp
let browser: Browser
let ada: Visitor

beforeAll(async () => {
  servers = await Promise.all([Embedded.start(), Embedded.start()])
  app = await RunningApp.start(servers, { host: '0.0.0.0' })
  browser = await launch()
  ada = await Visitor.arrive(browser)
})

afterAll(async () => {
  await browser.close()
  await app.stop()
  await Promise.all(servers.map(server => server.stop()))
})

/** Nothing is wider than the screen: nobody has to scroll sideways to read. */
async function widths(): Promise<number[]> {
  const found: number[] = []
  for (const size of SIZES) {
    await ada.page.setViewportSize(size)
    found.push(await ada.page.evaluate(() => document.documentElement.scrollWidth))
  }
  return found
}

describe('nothing is in anybody’s way, at any size, in light, dark and forced colours', {
  timeout: 180_000,
}, () => {
  async function expectNone(): Promise<void> {
    expect(await ada.barriers(SIZES)).toEqual([])
    expect(await widths()).toEqual(SIZES.map(({ width }) => width))
  }

  test('on the first page', async () => {
    await ada.page.goto(app.url)
    await ada.page.getByText('49 lost').waitFor()
    await expectNone()
  })

  test('in a session, with values long and short, one open, one wrong, a code and another browser', async () => {
    await ada.signIn(app.url, 'Ada')
    await ada.putIn('short', 'true')
    await ada.putIn('a-key-of-the-hundred-characters-that-a-key-may-have-'.padEnd(100, 'x'), '"long"')
    await ada.putIn('long', JSON.stringify({ text: 'many words '.repeat(30), more: [1, 2, 3] }))
    await ada.putIn('opened', '1')
    const code = await ada.code()
    const phone = await Visitor.arrive(browser)
    await phone.join(app.url, code)
    await phone.sees('short', 'true')
    await ada.code()
    await ada.page.getByText('Show all').click()
    await ada.page.getByText('The phone finds nothing?').click()
    await ada.page.getByText('Is this session fixation?').click()
    await ada.page.getByLabel('Edit opened').click()
    await ada.page.getByLabel('Value of opened, as JSON').waitFor()
    await ada.put('colour', 'blue')
    await ada.page.getByRole('alert').waitFor()
    await expectNone()
    await phone.context.close()
  })

  test('after Delete, and where the session’s server does not answer', async () => {
    await ada.page.getByLabel('Delete short').click()
    await ada.page.getByRole('button', { name: 'Undo' }).waitFor()
    await ada.expectTrouble(async () => {
      const home = ada.page.locator('.server', { hasText: 'holds this session' })
      await home.getByRole('button').click()
      await ada.page.locator('.outage').waitFor()
      await expectNone()
    })
  })

  test('on the page of an outage, and on that of a code that is wrong', async () => {
    await ada.expectTrouble(async () => {
      await ada.page.reload()
      await ada.page.getByRole('heading', { name: 'does not answer' }).waitFor()
      await expectNone()
      await ada.page.getByRole('button', { name: 'Bring it back' }).first().click()
      await ada.page.getByLabel('What shall we call you?').waitFor()
      await ada.join(app.url, '2222-2222')
      await ada.page.getByText('There is no such code').waitFor()
      await expectNone()
    })
  })
})

test('what a field is for can be read in it', async () => {
  await ada.signIn(app.url, 'Grace')
  for (const colorScheme of ['light', 'dark'] as const) {
    await ada.page.emulateMedia({ colorScheme })
    expect(await ada.page.locator('#add-key').evaluate(contrastOfPlaceholder)).toBeGreaterThanOrEqual(4.5)
  }
})

/** As WCAG 2 has it. */
function contrastOfPlaceholder(field: Element): number {
  const luminance = (colour: string, over: number[] = [0, 0, 0], opacity = 1): number => {
    const channels = (colour.match(/[\d.]+/g) ?? []).slice(0, 3).map((channel, n) => {
      const mixed = Number(channel) * opacity + (over[n] as number) * (1 - opacity)
      return mixed / 255 <= 0.03928 ? mixed / 255 / 12.92 : ((mixed / 255 + 0.055) / 1.055) ** 2.4
    })
    return channels.reduce((sum, channel, n) => sum + channel * ([0.2126, 0.7152, 0.0722][n] as number), 0)
  }
  const { color, opacity } = getComputedStyle(field, '::placeholder')
  const { backgroundColor } = getComputedStyle(field)
  const ground = (backgroundColor.match(/[\d.]+/g) ?? []).map(Number)
  const [light, dark] = [luminance(color, ground, Number(opacity)), luminance(backgroundColor)].sort(
    (a, b) => b - a,
  )
  return ((light as number) + 0.05) / ((dark as number) + 0.05)
}

test('in an outage the ring stops and says that nobody knows', async () => {
  const before = await ada.page.locator('.ring text').textContent()
  expect(before).toMatch(/^\d+:\d\d$/)
  await ada.expectTrouble(async () => {
    const home = ada.page.locator('.server', { hasText: 'holds this session' })
    await home.getByRole('button').click()
    await ada.page.getByText('Not known while its server does not answer').waitFor()
    expect(await ada.page.getByRole('img', { name: 'Remaining life: not known' }).count()).toBe(1)
    await ada.page.getByText(/^Stopped /).waitFor()
    await ada.page.locator('.outage').getByRole('button', { name: 'Bring it back' }).click()
    // Its session is gone: the page goes, and says on the next one what it has just said.
    await ada.page.getByText('Your session has ended').waitFor()
    await ada.page.getByText(/^Back in [\d.]+ s/).waitFor()
  })
  await until(() => ada.page.getByLabel('What shall we call you?').isVisible())
})
