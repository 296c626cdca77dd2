import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, test } from 'vitest'
import { type News, revisionOf, Watcher } from '../../example-app/src/live/watcher.ts'
import { createStore } from '../../example-app/src/store.ts'
import { until } from '../support/until.ts'
import { startApp } from './running.ts'
import { post, signIn } from './visitor.ts'

const { app, server, store } = await startApp()

async function sessionOf(user: string): Promise<{ sid: string; revision: string }> {
  const [login] = await store.sessionsOf(user)
  if (login === undefined) throw new Error(`${user} is not signed in`)
  return { sid: login.sid, revision: revisionOf(login.session) }
}

describe('live news', () => {
  test('tell a change that another process made, and the end of the session', async () => {
    const visitor = await signIn(app, 'Ada')
    const { sid, revision } = await sessionOf('Ada')
    // As in another process of the app: nobody tells this one anything.
    const otherStore = createStore([server.address])
    const news: News[] = []
    const stop = new Watcher(otherStore).watch(sid, revision, one => news.push(one))
    await post(visitor, '/values', { key: 'colour', value: '"blue"' }).expect(303)
    await until(() => news.length === 1)
    expect(news[0]).toEqual({ kind: 'changed', revision: (await sessionOf('Ada')).revision })
    await post(visitor, '/sign-out').expect(303)
    await until(() => news.length === 2)
    expect(news[1]).toEqual({ kind: 'ended' })
    stop()
    await otherStore.close()
  })

  test('say nothing of visits, which only refresh the life of the session', async () => {
    const visitor = await signIn(app, 'Grace')
    const { sid, revision } = await sessionOf('Grace')
    const session = await store.get(sid)
    if (session === null) throw new Error('There is no session')
    session.cookie.expires = new Date(Date.now() + 1_000_000)
    expect(revisionOf(session)).toBe(revision)
    await post(visitor, '/values', { key: 'colour', value: '"blue"' })
    expect((await sessionOf('Grace')).revision).not.toBe(revision)
  })

  test('read a session once, however many pages show it, and stop with the last', async () => {
    const reads: string[] = []
    const counting = Object.create(store, {
      get: {
        value: (sid: string, done: (error: unknown, session: null) => void) => {
          reads.push(sid)
          setImmediate(done, null, null)
        },
      },
    }) as typeof store
    const watcher = new Watcher(counting)
    const news: string[] = []
    const stops = Array.from({ length: 5 }, (_, n) =>
      watcher.watch('one', '', ({ kind }) => news.push(kind + n)),
    )
    await until(() => news.length === 5)
    expect(reads.length).toBeLessThanOrEqual(2)
    for (const stop of stops) stop()
    const before = reads.length
    watcher.look('one')
    expect(reads).toHaveLength(before)
  })

  test('come over HTTP, and neither send the cookie again nor count as a visit', async () => {
    const visitor = await signIn(app, 'Edsger')
    const cookies = (await visitor.get('/')).headers['set-cookie'] as unknown as string[]
    const cookie = cookies.map(one => one.split(';')[0]).join('; ')
    const listening: Server = app.listen(0, '127.0.0.1')
    await once(listening, 'listening')
    const { port } = listening.address() as AddressInfo
    const response = await fetch(`http://127.0.0.1:${port}/live?seen=nothing`, { headers: { cookie } })
    expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/)
    expect(response.headers.get('set-cookie')).toBeNull()
    const reader = (response.body as ReadableStream<Uint8Array>).getReader()
    const first = await reader.read()
    expect(new TextDecoder().decode(first.value)).toMatch(/^id: [\w-]{16}\nevent: changed\ndata:\n\n$/)
    await reader.cancel()
    const ended = await fetch(`http://127.0.0.1:${port}/live`)
    expect(await ended.text()).toBe('event: ended\ndata:\n\n')
    listening.close()
    listening.closeAllConnections()
  })
})
