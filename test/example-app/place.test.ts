import session from 'express-session'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createApp } from '../../example-app/src/app.ts'
import { type Health, readHealth } from '../../example-app/src/memcached/health.ts'
import { serverParts } from '../../example-app/src/pages/panels/servers.ts'
import { type Servers, startServers } from '../../example-app/src/servers.ts'
import { EmbeddedMemcached } from '../../lib/embedded/index.ts'
import { MemcachedStore } from '../../lib/index.ts'
import { secret, serversAt, signIn } from './visitor.ts'

let memcached: EmbeddedMemcached
let servers: Servers
let store: MemcachedStore
let app: ReturnType<typeof createApp>

beforeAll(async () => {
  memcached = await EmbeddedMemcached.start()
  servers = serversAt(memcached.address)
  store = new MemcachedStore({ servers: memcached.address, touchAfter: 0 })
  app = createApp({ store, secret, servers })
})

afterAll(async () => {
  await store.close()
  await memcached.stop()
})

const leftIn = (text: string): number => Number(/data-left="(\d+)"/.exec(text)?.[1])

describe('where the session lives', () => {
  test('shows key, home server and size as memcached has them', async () => {
    const visitor = await signIn(app, 'Ada')
    const sid = (await store.ids()).at(-1) as string
    const { text } = await visitor.get('/').expect(200)
    expect(text).toContain(`sess:${sid}`)
    expect(text).toMatch(new RegExp(`Home server</dt><dd><code>${memcached.address}`))
    const bytes = Number(/<dd>([\d,]+) bytes/.exec(text)?.[1]?.replace(',', ''))
    const stored = Buffer.byteLength(JSON.stringify(await store.get(sid)))
    expect(bytes).toBe(stored)
    expect(text).toContain('&quot;originalMaxAge&quot;')
    await store.destroy(sid)
  })

  test('a visit gives the session its life again; looking does not', async () => {
    const visitor = await signIn(app, 'Ada')
    const sid = (await store.ids()).at(-1) as string
    const stored = (await store.get(sid)) as session.SessionData
    Object.assign(stored.cookie, { originalMaxAge: 600_000, expires: new Date(Date.now() + 600_000) })
    await store.set(sid, stored)
    const looked = await visitor.get('/place').expect(200)
    expect(looked.headers['set-cookie']).toBeUndefined()
    expect(leftIn((await visitor.get('/place')).text)).toBeLessThanOrEqual(600_000)
    await visitor.get('/').expect(200)
    expect(leftIn((await visitor.get('/place')).text)).toBeGreaterThan(590_000)
  })

  test('tells each server’s figures, which is down, and which the app may stop', async () => {
    const own = await startServers(1)
    const wide = new MemcachedStore({ servers: [memcached.address, ...own.addresses] })
    const drawn = async (): Promise<string> =>
      serverParts(await readHealth({ store: wide, servers: own, durable: undefined })).source
    const both = await drawn()
    expect(both.match(/data-up="yes"/g)).toHaveLength(2)
    expect(both).toMatch(/Memory[\s\S]*64 MB[\s\S]*Hit rate[\s\S]*Items[\s\S]*Evictions/)
    expect(both.match(/value="stop"/g)).toHaveLength(1)
    await own.close()
    const one = await drawn()
    expect(one.match(/data-up="yes"/g)).toHaveLength(1)
    expect(one).toMatch(new RegExp(`data-up="no">\\s*<div[^>]*>\\s*<strong[^>]*>${own.addresses[0]}<`))
    expect(one).toContain('value="bring-back"')
    await wide.close()
  })

  test('says what is near its end, and that nothing was found yet', async () => {
    const { servers: found } = await readHealth({ store, servers, durable: undefined })
    const [health] = found
    const drawn = (figures: Record<string, number>): string =>
      serverParts({
        servers: [{ stats: { ...health?.stats, ...figures }, own: false } as Health],
        durable: undefined,
      }).source
    expect(drawn({ hits: 0, misses: 0 })).toContain('no reads yet')
    expect(drawn({ hits: 0, misses: 12 })).toContain('no hits yet')
    expect(drawn({ hits: 9, misses: 3 })).toContain('75 % of 12 reads')
    // A bar is of something that must not get full, so the hit rate is none.
    expect(
      drawn({})
        .match(/class="gauge-name">[^<]+/g)
        ?.map(name => name.split('>')[1]),
    ).toEqual(['Memory', 'Connections'])
    for (const [bytes, level] of [
      [10, 'fine'],
      [80, 'nearly-full'],
      [95, 'full'],
    ] as const)
      expect(drawn({ bytes, limit: 100 })).toContain(`data-level="${level}"`)
  })

  test('has no news for somebody who is not signed in', async () => {
    const visitor = await signIn(app, 'Ada')
    await visitor.post('/sign-out').type('form').send({}).expect(303)
    await visitor.get('/place').expect(204)
  })

  test('on another store, shows the session without servers', async () => {
    const visitor = await signIn(createApp({ store: new session.MemoryStore(), secret }), 'Ada')
    const { text } = await visitor.get('/').expect(200)
    expect(text).toContain('not known')
    expect(text).not.toContain('id="servers"')
  })
})
