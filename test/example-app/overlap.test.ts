import session from 'express-session'
import { describe, expect, test } from 'vitest'
import { createApp } from '../../example-app/src/app.ts'
import { type Progress, REQUESTS, runContest } from '../../example-app/src/overlap/contest.ts'
import { MemcachedStore } from '../../lib/index.ts'
import { DRIFTED } from '../support/drifted.ts'
import { NOBODY } from '../support/port.ts'
import { startApp } from './running.ts'
import { browser, post, secret } from './visitor.ts'

const { store } = await startApp()

describe('the overlap test', () => {
  test('every update survives here, and all have read before any saves', async () => {
    const progress: Progress[] = []
    const survivors = await runContest(store, now => progress.push(now))
    expect(new Set(survivors).size).toBe(REQUESTS)
    expect(progress.find(({ saved }) => saved > 0)?.read).toBe(REQUESTS)
    expect(await store.ids()).toEqual([])
  })

  test('an ordinary store keeps one', async () => {
    expect(await runContest(new session.MemoryStore())).toHaveLength(1)
  })

  test('tells a script how it goes on, and draws the outcome without one', async () => {
    // Not signed in: it is the first thing that a visitor sees.
    const visitor = browser(createApp({ store, secret }))
    const stream = await visitor
      .post('/overlap')
      .set('Accept', 'application/x-ndjson')
      .buffer(true)
      .parse((res, done) => {
        let text = ''
        res.on('data', chunk => (text += chunk)).on('end', () => done(null, text))
      })
    const news = (stream.body as string)
      .trim()
      .split('\n')
      .map(line => JSON.parse(line))
    const ends = news.filter(({ survivors }) => survivors !== undefined)
    expect(ends.map(({ side, survivors }) => [side, survivors.length])).toEqual([
      ['here', REQUESTS],
      ['ordinary', 1],
    ])
    expect(news.length).toBeGreaterThan(2 * REQUESTS)
    const { text } = await visitor
      .post('/overlap')
      .set('Accept', 'text/html')
      .type('form')
      .send({})
      .expect(200)
    expect(text).toContain(`<strong>${REQUESTS} of ${REQUESTS}</strong>`)
    expect(text).toContain(`<strong>1 of ${REQUESTS}</strong>`)
    expect(text).toContain(`${REQUESTS - 1} lost`)
    expect(text.match(/class="lost"/g)).toHaveLength(REQUESTS - 1)
  })

  test('leaves no trace on the store of the app', async () => {
    const app = createApp({ store, secret })
    const listeners = store.eventNames().map(name => store.listenerCount(name))
    await runContest(store)
    expect(store.eventNames().map(name => store.listenerCount(name))).toEqual(listeners)
    const visitor = browser(app)
    const { headers } = await post(visitor, '/sign-in', { name: 'Ada' }).expect(303)
    const cookie = (headers['set-cookie'] as unknown as string[]).find(one => one.startsWith('session='))
    expect(cookie).toContain('SameSite=Lax')
    const [kept] = await store.all()
    expect(kept?.cookie.originalMaxAge).toBeCloseTo(3_600_000, DRIFTED)
    await store.clear()
  })

  test('fails at once where memcached does not answer', async () => {
    const astray = new MemcachedStore({ servers: NOBODY })
    await expect(runContest(astray)).rejects.toMatchObject({ status: 503 })
    await astray.close()
  })
})
