import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { Database } from '../../example-app/src/durable/database.ts'
import { durableIn } from '../../example-app/src/durable/durable.ts'
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

let database: Database
let servers: Embedded[]
let app: RunningApp
let browser: Browser
let ada: Visitor

beforeAll(async () => {
  database = await Database.start()
  servers = await Promise.all([Embedded.start(), Embedded.start(), Embedded.start()])
  app = await RunningApp.start(servers, { durable: durableIn(database) })
  browser = await launch()
})

afterAll(async () => {
  await browser.close()
  await app.stop()
  await Promise.all(servers.map(server => server.stop()))
  await database.close()
})

beforeEach(async () => {
  await ada?.context.close()
  ada = await Visitor.arrive(browser)
  await ada.signIn(app.url, 'Ada')
})

const stopAll = (): Promise<void> => ada.page.getByRole('button', { name: 'Stop all 3 servers' }).click()
const notice = () => ada.page.locator('.carried')
const bringAllBack = () => notice().getByRole('button', { name: 'Bring all 3 servers back' })

/** A figure of the durable store's panel. */
async function figure(name: string): Promise<string> {
  const found = ada.page.locator('#durable .figures div').filter({ hasText: name })
  return (await found.locator('dd').textContent()) ?? ''
}

describe('all of memcached is stopped', () => {
  test('and nobody is logged out: what was there is there, and what is put in meanwhile stays', async () => {
    await ada.putIn('before', '"the outage"')
    await stopAll()
    await notice().getByText('memcached is gone, and you are still signed in').waitFor()
    await ada.page.getByText('Stopped all 3 servers.').waitFor()
    expect(await ada.page.locator('#servers [data-up="no"]').count()).toBe(3)
    await ada.page.locator('#durable').getByText('serves this session').waitFor()
    await ada.page.locator('#place').getByText('the durable store, for now').waitFor()

    await ada.putIn('during', '"the outage"')
    await ada.page.reload()
    await ada.sees('before', '"the outage"')
    await ada.sees('during', '"the outage"')
    const refills = Number(await figure('Refills'))

    await bringAllBack().click()
    await ada.page
      .locator('#outage')
      .getByText(/^Back in [\d.]+ s: all 3 servers, empty, and filled again from the durable store/)
      .waitFor()
    await notice().waitFor({ state: 'detached' })
    await ada.page.getByText('holds this session').waitFor()
    await until(async () => Number(await figure('Refills')) > refills)
    await ada.page.reload()
    await ada.sees('before', '"the outage"')
    await ada.sees('during', '"the outage"')
    expect(ada.errors).toEqual([])
  })

  test('and others sign in, sign out and stay so', async () => {
    await stopAll()
    await notice().waitFor()
    const grace = await Visitor.arrive(browser)
    await grace.signIn(app.url, 'Grace')
    await grace.putIn('where', '"in the durable store"')
    await ada.page.getByRole('button', { name: 'Sign out', exact: true }).first().click()
    await ada.page.getByText('Signed out. The session is deleted').waitFor()
    await grace.page.locator('.carried').getByRole('button').click()
    await grace.page.locator('.carried').waitFor({ state: 'detached' })
    await grace.page.reload()
    await grace.sees('where', '"in the durable store"')
    await ada.page.goto(app.url)
    await ada.page.getByLabel('What shall we call you?').waitFor()
    expect([...ada.errors, ...grace.errors]).toEqual([])
    await grace.context.close()
  })

  test('and overlapping updates are all kept', async () => {
    await stopAll()
    await notice().waitFor()
    await ada.page.getByRole('button', { name: 'Fire 50 requests at once' }).click()
    await ada.page.getByText('This store kept 50 updates, MemoryStore 1').waitFor()
    await bringAllBack().click()
    await notice().waitFor({ state: 'detached' })
  })

  test('and what needs memcached says so', async () => {
    await stopAll()
    await notice().waitFor()
    await ada.expectTrouble(async () => {
      await ada.page.getByRole('button', { name: 'Show a code' }).click()
      await ada.page
        .getByRole('alert')
        .getByText(/does not answer\. Try again/)
        .waitFor()
    })
    await bringAllBack().click()
    await notice().waitFor({ state: 'detached' })
    await ada.code()
  })

  test('by the keyboard, which stays where somebody was', async () => {
    await ada.page.getByRole('button', { name: 'Stop all 3 servers' }).press('Enter')
    await notice().waitFor()
    const focused = (): Promise<string> =>
      ada.page.evaluate(() => document.activeElement?.textContent?.trim() ?? '')
    await until(async () => (await focused()) === 'Bring all 3 servers back')
    await bringAllBack().press('Enter')
    await until(async () => (await focused()).startsWith('Back in'))
    await ada.page.keyboard.press('Tab')
    await until(async () => (await ada.page.locator('#outage .notice').count()) === 0)
    expect(await focused()).not.toBe('')
  })

  test('without a barrier, at any size, in light, dark and forced colours', {
    timeout: 180_000,
  }, async () => {
    await stopAll()
    await notice().waitFor()
    expect(await ada.barriers(SIZES)).toEqual([])
    for (const size of SIZES) {
      await ada.page.setViewportSize(size)
      expect(await ada.page.evaluate(() => document.documentElement.scrollWidth)).toBe(size.width)
    }
    await bringAllBack().click()
    await notice().waitFor({ state: 'detached' })
  })
})

test('of one server that is stopped, its sessions go on', async () => {
  await ada.putIn('cart', '{"apples": 3}')
  const home = ada.page.locator('.server', { hasText: 'holds this session' })
  await home.getByRole('button', { name: 'Stop it' }).click()
  await notice().getByText('does not answer, and you are still signed in').waitFor()
  await ada.page.reload()
  await ada.sees('cart', '"apples"')
  await notice().getByRole('button', { name: 'Bring it back' }).click()
  await notice().waitFor({ state: 'detached' })
  await ada.sees('cart', '"apples"')
  expect(ada.errors).toEqual([])
})

test('a durable store that does not answer is seen to be down', async () => {
  const broken = { query: () => Promise.reject(new Error('gone')) }
  const { store } = durableIn(database)
  const lame = await RunningApp.start(servers, { durable: { ...durableIn(broken), store } })
  // One browser, one session: the cookie is good for every port.
  await ada.page.goto(lame.url)
  await ada.page.getByText('49 lost').waitFor()
  await ada.page
    .locator('#durable[data-up="no"]')
    .getByText('nothing can be saved until it is back')
    .waitFor()
  expect(await figure('Sessions held')).toBe('not known')
  expect(await ada.barriers()).toEqual([])
  await lame.stop()
})
