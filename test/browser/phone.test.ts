import { execFileSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Embedded } from '../../example-app/src/memcached/embedded.ts'
import { RunningApp } from './running-app.ts'
import { launch, Visitor } from './visitor.ts'

let memcached: Embedded
let browser: Browser

beforeAll(async () => {
  memcached = await Embedded.start()
  browser = await launch()
})

afterAll(async () => {
  await browser.close()
  await memcached.stop()
})

/** What a phone's camera reads on a page. */
async function scanned(visitor: Visitor): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'qr-'))
  const path = join(folder, 'page.png')
  await visitor.page.screenshot({ path })
  const text = execFileSync('zbarimg', ['--quiet', '--raw', '--nodbus', path], { encoding: 'utf8' })
  await rm(folder, { recursive: true })
  return text.trim()
}

test('the QR code leads a phone to this computer, and the phone into the session', async () => {
  const app = await RunningApp.start([memcached], { host: '0.0.0.0' })
  const ada = await Visitor.arrive(browser)
  await ada.signIn(app.url, 'Ada')
  await ada.putIn('cart', '{"apples": 3}')
  const code = await ada.code()
  await ada.page.getByRole('img', { name: 'QR code' }).scrollIntoViewIfNeeded()
  const link = new URL(await scanned(ada))

  const own = Object.values(networkInterfaces()).flatMap(infos => infos ?? [])
  expect(own.find(({ address }) => address === link.hostname)).toMatchObject({ internal: false })
  expect(link.port).toBe(String(app.port))
  expect(link.searchParams.get('code')).toBe(code)
  expect((await fetch(link)).status).toBe(200)
  await ada.page.getByText('The phone finds nothing?').click()
  await ada.page.getByText(`let port ${app.port} through`).waitFor()

  const phone = await Visitor.arrive(browser, { viewport: { width: 390, height: 844 }, isMobile: true })
  await phone.page.goto(link.href)
  await phone.page.getByRole('button', { name: 'Join' }).click()
  await phone.sees('cart', '"apples"')
  expect([...ada.errors, ...phone.errors]).toEqual([])
  await app.stop()
})

test('an app that listens to this computer only shows no picture that leads nowhere, and says what does', async () => {
  const app = await RunningApp.start([memcached])
  const ada = await Visitor.arrive(browser)
  await ada.signIn(app.url, 'Ada')
  const code = await ada.code()
  expect(await ada.page.getByRole('img', { name: 'QR code' }).count()).toBe(0)
  await ada.page.getByText('npm start -- --phone').waitFor()
  const link = ada.page.locator('.ticket').getByRole('link', { name: 'link' })
  expect(await link.getAttribute('href')).toBe(`/join?code=${code}`)
  await app.stop()
})
