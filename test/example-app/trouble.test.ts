import { createServer } from 'node:http'
import request from 'supertest'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createApp } from '../../example-app/src/app.ts'
import { Embedded } from '../../example-app/src/memcached/embedded.ts'
import type { OwnServer } from '../../example-app/src/memcached/own-server.ts'
import { type Servers, startServers } from '../../example-app/src/servers.ts'
import { createStore } from '../../example-app/src/store.ts'
import { MemcachedStore } from '../../lib/index.ts'
import { NOBODY } from '../support/port.ts'
import { until } from '../support/until.ts'
import { secret, serversAt, signIn } from './visitor.ts'

/** With what is there, and with the embedded one. */
describe.each([
  ['started', () => startServers(1)],
  ['embedded', async () => asServers(await Embedded.start())],
] as const)('trouble on purpose, with one that is %s', (_, start) => {
  let servers: Servers
  let store: MemcachedStore
  let app: ReturnType<typeof createApp>

  beforeAll(async () => {
    servers = await start()
    store = new MemcachedStore({ servers: servers.addresses })
    app = createApp({ store, secret, servers })
  })

  afterAll(async () => {
    await store.close()
    await servers.close()
  })

  test('is for those who sit at this computer', async () => {
    const elsewhere = createServer((req, res) => {
      Object.defineProperty(req.socket, 'remoteAddress', { value: '192.0.2.1' })
      app(req, res)
    })
    await request(elsewhere)
      .post('/trouble')
      .type('form')
      .send({ server: servers.addresses[0], do: 'stop' })
      .expect(403)
    await (await signIn(app, 'Ada')).get('/').expect(200)
  })

  test('stops a server and brings it back, and the pages tell', async () => {
    const visitor = await signIn(app, 'Ada')
    const cause = (what: string): Promise<unknown> =>
      visitor
        .post('/trouble')
        .type('form')
        .send({ server: servers.addresses[0], do: what })
        .expect(303)
        .then()
    const well = async (): Promise<boolean> => (await visitor.get('/health').expect(200)).body.well

    expect(await well()).toBe(true)
    await cause('stop')
    await cause('stop')
    expect(await well()).toBe(false)
    const stranger = request(app)
    expect((await stranger.get('/health').expect(200)).body.well).toBe(false)
    const page = await visitor.get('/').expect(503)
    expect(page.headers['retry-after']).toBe('2')
    expect(page.text).toContain(`memcached on ${servers.addresses[0]} does not answer`)
    expect(page.text).toContain('http-equiv="refresh"')
    expect(page.text).toContain('value="bring-back"')
    const news = await visitor.get('/place').expect(200)
    expect(news.text).toContain('This page goes on by itself')
    expect(news.text).toContain('data-up="no"')
    expect(news.text).not.toContain('id="place"')

    // Twice at once: two browsers press the button.
    await Promise.all([cause('bring-back'), cause('bring-back')])
    await until(well)
    const again = await signIn(app, 'Ada')
    expect((await again.get('/place').expect(200)).text).toContain('data-up="yes"')
    await cause('bring-back')
    expect((await again.get('/').expect(200)).text).toContain('Session data')
  })

  test('touches no server that is somebody else’s', async () => {
    const visitor = await signIn(app, 'Ada')
    await visitor.post('/trouble').type('form').send({ server: NOBODY, do: 'stop' }).expect(404)
    await visitor
      .post('/trouble')
      .set('Sec-Fetch-Site', 'cross-site')
      .type('form')
      .send({ server: servers.addresses[0], do: 'stop' })
      .expect(403)
    await visitor.get('/').expect(200)
  })
})

function asServers(server: OwnServer): Servers {
  return { ...serversAt(server.address), own: [server], close: () => server.stop() }
}

test('of several servers, the one that is away is named, and so are those that go on', async () => {
  const servers = await startServers(3)
  const store = createStore(servers.addresses)
  const app = createApp({ store, secret, servers })
  const visitor = await signIn(app, 'Ada')
  const news = async (): Promise<string> => (await visitor.get('/place').expect(200)).text
  const home = /Home server<\/dt><dd><code>([^<]+)/.exec(await news())?.[1] as string
  const trouble = { server: home, do: 'stop' }
  await visitor.post('/trouble').type('form').send(trouble).expect(303)
  const text = await news()
  expect(text).toContain(`memcached on ${home}, where this session lives, does not answer`)
  expect(text).toContain('The other 2 servers do')
  expect(text.match(/holds this session/g)).toHaveLength(1)
  expect(text).toMatch(new RegExp(`data-up="no">(?:(?!</li>)[^])*${home}(?:(?!</li>)[^])*holds this session`))
  expect((await visitor.get('/').expect(503)).text).toContain(`memcached on ${home} does not answer`)
  // Of two that are away, the one that this session is on.
  const idle = servers.addresses.find(address => address !== home) as string
  await visitor.post('/trouble').type('form').send({ server: idle, do: 'stop' }).expect(303)
  const worse = await news()
  expect(worse).toContain(`memcached on ${home}, where this session lives, does not answer`)
  expect(worse).toContain('The other server does')
  expect(worse.match(/data-up="no"/g)).toHaveLength(2)
  await store.close()
  await servers.close()
})
