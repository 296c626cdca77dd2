import type { Agent } from 'supertest'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createApp } from '../../example-app/src/app.ts'
import { Codes } from '../../example-app/src/join/codes.ts'
import { createStore } from '../../example-app/src/store.ts'
import { EmbeddedMemcached } from '../../lib/embedded/index.ts'
import { NOBODY } from '../support/port.ts'
import { until } from '../support/until.ts'
import { browser, codeOn, page, post, secret, serversAt, signIn } from './visitor.ts'

let server: EmbeddedMemcached
let store: ReturnType<typeof createStore>
let app: ReturnType<typeof createApp>

beforeAll(async () => {
  server = await EmbeddedMemcached.start()
})

// A new app each time: it counts tries by address, and all visitors here have one.
beforeEach(() => {
  store = createStore([server.address])
  app = createApp({ store, secret, servers: serversAt(server.address) })
})

afterEach(() => store.close())
afterAll(() => server.stop())

const codeFrom = async (host: Agent): Promise<string> => codeOn((await post(host, '/codes').expect(200)).text)

describe('a code for joining', () => {
  test('brings another browser into the same session', async () => {
    const host = await signIn(app, 'Ada')
    const guest = browser(app, 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0')
    await post(guest, '/join', { code: await codeFrom(host) }).expect(303)
    await post(guest, '/values', { key: 'from-guest', value: '1' }).expect(303)
    await post(host, '/values', { key: 'from-host', value: '2' }).expect(303)
    const text = await page(guest)
    expect(text).toContain('from-host')
    expect(await page(host)).toContain('from-guest')
    expect(text).toContain('Firefox on Linux')
    expect(await store.sessionsOf('Ada')).toHaveLength(1)
  })

  test('is shown as a link that does nothing until its button is pressed', async () => {
    const host = await signIn(app, 'Ada')
    const { text } = await post(host, '/codes').expect(200)
    const code = codeOn(text)
    expect(text).toContain(`/join?code=${code}`)
    const guest = browser(app)
    await guest.get(`/join?code=${code}`).expect(200, new RegExp(`value="${code}"`))
    await post(guest, '/join', { code }).expect(303)
  })

  test('is a picture where a phone can reach the app', async () => {
    const open = (publicUrl?: string): typeof app =>
      createApp({ store, secret, servers: serversAt(server.address), reach: { isOpen: true, publicUrl } })
    const named = await post(await signIn(open('https://example.org'), 'Ada'), '/codes').expect(200)
    expect(named.text).toContain('aria-label="QR code')
    expect(named.text).toContain(`https://example.org/join?code=${codeOn(named.text)}`)
    const byName = await signIn(app, 'Ada')
    const asked = await post(byName, '/codes').set('Host', '192.168.1.5:3000').expect(200)
    expect(asked.text).toContain(`http://192.168.1.5:3000/join?code=${codeOn(asked.text)}`)
    expect((await post(byName, '/codes').expect(200)).text).not.toContain('aria-label="QR code')
  })

  test('can be typed in small letters, with or without the hyphen', async () => {
    const host = await signIn(app, 'Ada')
    const code = (await codeFrom(host)).toLowerCase().replace('-', ' ')
    await post(browser(app), '/join', { code }).expect(303)
  })

  test('is good once', async () => {
    const host = await signIn(app, 'Ada')
    const code = await codeFrom(host)
    await post(browser(app), '/join', { code }).expect(303)
    await post(browser(app), '/join', { code }).expect(422, /has been used already/)
  })

  test('is good for one of several browsers that use it at once', async () => {
    const codes = new Codes([server.address])
    const { code } = await codes.give('a-session')
    const taken = await Promise.all(Array.from({ length: 10 }, () => codes.take(code)))
    expect(taken.filter(one => 'sid' in one)).toEqual([{ sid: 'a-session' }])
    expect(taken.filter(one => 'problem' in one && one.problem === 'used')).toHaveLength(9)
  })

  test('is over after its time', async () => {
    const codes = new Codes([server.address], 20)
    const { code, until: end } = await codes.give('a-session')
    await until(() => Date.now() > end)
    expect(await codes.take(code)).toEqual({ problem: 'expired' })
    const late = createApp({ store, secret, servers: serversAt(server.address), codeLife: 0 })
    const host = await signIn(late, 'Ada')
    await post(browser(late), '/join', { code: await codeFrom(host) }).expect(422, /more than a minute old/)
  })

  test('opens nothing after its session has ended', async () => {
    const host = await signIn(app, 'Ada')
    const code = await codeFrom(host)
    await post(host, '/sign-out').expect(303)
    const guest = browser(app)
    await post(guest, '/join', { code }).expect(422, /has ended meanwhile/)
    expect(await page(guest)).toContain('Sign in')
  })

  test('cannot be found by trying', async () => {
    const host = await signIn(app, 'Ada')
    const code = await codeFrom(host)
    const guest = browser(app)
    for (let n = 0; n < 5; n++)
      await post(guest, '/join', { code: `2222-222${n}` }).expect(422, /no such code/)
    await post(guest, '/join', { code }).expect(429, /was too many tries/)
  })

  test('is given to nobody who is not signed in', async () => {
    await post(browser(app), '/codes').expect(303).expect('Location', '/')
  })

  test('is not taken from a form of another site', async () => {
    const code = await codeFrom(await signIn(app, 'Mallory'))
    const victim = browser(app)
    await post(victim, '/join', { code }).set('Sec-Fetch-Site', 'cross-site').expect(403)
  })

  test('gives an id that is worth nothing once its visitor signs in anew', async () => {
    const host = await signIn(app, 'Mallory')
    const victim = browser(app)
    await post(victim, '/join', { code: await codeFrom(host) }).expect(303)
    await post(victim, '/sign-in', { name: 'Victim' }).expect(303)
    expect(await page(victim)).toContain('<strong>Victim</strong>')
    expect(await page(host)).not.toContain('Victim')
  })

  test('goes to another server when one is away, and says so when all are', async () => {
    const codes = new Codes([NOBODY, server.address])
    const { code } = await codes.give('a-session')
    expect(await codes.take(code)).toEqual({ sid: 'a-session' })
    await expect(new Codes([NOBODY]).give('a-session')).rejects.toMatchObject({ status: 503 })
  })

  test('is not offered without a memcached to keep it', async () => {
    const host = await signIn(createApp({ store, secret }), 'Ada')
    expect(await page(host)).toContain('Codes are kept in memcached')
  })
})
