import { randomUUID } from 'node:crypto'
import { promisify } from 'node:util'
import type { SessionData } from 'express-session'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { EmbeddedMemcached } from '../../lib/embedded/index.ts'
import { withRevisions } from '../../lib/fastify/index.ts'
import { MemcachedStore } from '../../lib/index.ts'

// What it does for a plugin that treats its store as @fastify/session does. With that itself: test/consumers.

type Store = Pick<MemcachedStore, 'get' | 'set' | 'destroy'>
type Next = (error?: Error | null) => void

interface Request {
  session?: Session | null
}

/** As @fastify/session's: a copy of what was read, under a date of its own. */
class Session {
  [key: string]: unknown
  readonly #store: Store
  readonly #request: Request
  declare readonly sessionId: string

  constructor(store: Store, request: Request, stored?: SessionData | null, sid: string = randomUUID()) {
    this.#store = store
    this.#request = request
    Object.defineProperty(this, 'sessionId', { value: sid })
    this.cookie = new Cookie(stored)
    for (const [key, value] of Object.entries(stored ?? {})) if (key !== 'cookie') this[key] = value
  }

  /** By this and `save` the store knows one that its request may save again. */
  touch(): void {}

  save(): Promise<void> {
    return promisify(this.#store.set.bind(this.#store) as (sid: string, session: object, done: Next) => void)(
      this.sessionId,
      this,
    )
  }

  reload(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#store.get(this.sessionId, (error, stored) => {
        this.#request.session = new Session(this.#store, this.#request, stored, this.sessionId)
        if (error) reject(error)
        else resolve()
      })
    })
  }

  destroy(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#store.destroy(this.sessionId, error => {
        this.#request.session = null
        if (error) reject(error)
        else resolve()
      })
    })
  }
}

class Cookie {
  readonly originalMaxAge = 60_000
  readonly expires: Date = new Date(Date.now() + this.originalMaxAge)
  readonly originalExpires: unknown

  constructor(stored?: SessionData | null) {
    this.originalExpires = stored?.cookie.expires
  }

  toJSON(): object {
    return {
      originalMaxAge: this.originalMaxAge,
      expires: this.expires,
      originalExpires: this.originalExpires,
    }
  }
}

/** As much of Fastify as the plugin meets. */
class Instance {
  readonly #hooks: ((request: Request, reply: object, done: Next) => void)[] = []
  decryptSession!: (sid: string, request: Request, done: Next) => void
  failure: Error | undefined

  addHook(_: 'onRequest', hook: (request: Request, reply: object, done: Next) => void): void {
    this.#hooks.push(hook)
  }

  register<Options>(
    plugin: (instance: Instance, options: Options, done: (error?: Error) => void) => unknown,
    options: Options,
  ): this {
    plugin(this, options, error => {
      this.failure = error
    })
    return this
  }

  /** A request with this id in its cookie. */
  async request(sid = ''): Promise<{ session: Session }> {
    const request = { session: null, cookie: sid }
    for (const hook of this.#hooks) await promisify(hook)(request, {})
    return request as unknown as { session: Session }
  }
}

const marked = Symbol.for('skip-override')

const plugin = Object.assign(
  (instance: Instance, { store }: { store: Store; secret?: string }, done: (error?: Error) => void) => {
    instance.decryptSession = (sid, request, next) => {
      store.get(sid, (error, stored) => {
        if (error) return next(error)
        request.session = stored ? new Session(store, request, stored, sid) : new Session(store, request)
        next()
      })
    }
    const { decryptSession } = instance
    instance.addHook('onRequest', (request, _reply, next) => {
      const { cookie } = request as { cookie?: string }
      request.session = {} as Session
      if (cookie) return decryptSession(cookie, request, next)
      request.session = new Session(store, request)
      next()
    })
    done()
  },
  { [marked]: true },
)

let server: EmbeddedMemcached
let store: MemcachedStore
let app: Instance

beforeEach(async () => {
  server = await EmbeddedMemcached.start()
  store = new MemcachedStore({ servers: server.address, timeout: 5000 })
  app = new Instance().register(withRevisions(plugin), { store })
})

afterEach(async () => {
  await store.close()
  await server.stop()
})

/** A session that is stored: its id. */
async function stored(data: Record<string, unknown>): Promise<string> {
  const { session } = await app.request()
  Object.assign(session, data)
  await session.save()
  return session.sessionId
}

async function dataOf(sid: string): Promise<Record<string, unknown> | null> {
  const { cookie: _, ...data } = (await store.get(sid)) ?? { cookie: null }
  return _ === null ? null : data
}

describe('a session of @fastify/session', () => {
  test('keeps what overlapping requests set, and deletes what they delete', async () => {
    const sid = await stored({ user: 'ada', old: 1 })
    const [one, other] = [await app.request(sid), await app.request(sid)]
    one.session.a = 1
    delete other.session.old
    other.session.b = 1
    await one.session.save()
    await other.session.save()
    expect(await dataOf(sid)).toEqual({ user: 'ada', a: 1, b: 1 })
  })

  test('takes nothing back in a second save, be it new or read', async () => {
    const first = await app.request()
    await first.session.save()
    const sid = first.session.sessionId
    const second = await app.request(sid)
    for (const request of [first, second]) {
      request.session.mine = 1
      await request.session.save()
      await store.update(sid, session => Object.assign(session, { theirs: 1 }))
      request.session.mine = 2
      await request.session.save()
      expect(await dataOf(sid)).toEqual({ mine: 2, theirs: 1 })
    }
  })

  test.each(['as it was read', 'after its reload'])('stays away after a logout: %s', async how => {
    const sid = await stored({ user: 'ada' })
    const slow = await app.request(sid)
    const logout = await app.request(sid)
    await logout.session.destroy()
    expect(logout.session).toBeNull()
    if (how === 'after its reload') await slow.session.reload()
    slow.session.late = true
    await slow.session.save()
    expect(await dataOf(sid)).toBeNull()
    expect((await app.request(sid)).session.sessionId).not.toBe(sid)
  })

  test('knows after a reload what it read then', async () => {
    const sid = await stored({ user: 'ada' })
    const request = await app.request(sid)
    await store.update(sid, session => Object.assign(session, { theirs: 1 }))
    await request.session.reload()
    expect(request.session.theirs).toBe(1)
    delete request.session.theirs
    await store.update(sid, session => Object.assign(session, { more: 1 }))
    await request.session.save()
    expect(await dataOf(sid)).toEqual({ user: 'ada', more: 1 })
  })

  test('may be read by `decryptSession`, as sockets do', async () => {
    const sid = await stored({ user: 'ada' })
    const request: Request = {}
    await promisify(app.decryptSession)(sid, request)
    await store.destroy(sid)
    await request.session?.save()
    expect(await dataOf(sid)).toBeNull()
  })

  test('is not written where a request only reads it', async () => {
    const sid = await stored({ user: 'ada' })
    await (await app.request(sid)).session.save()
    const { writes } = (await store.stats()).counts
    await (await app.request(sid)).session.save()
    expect((await store.stats()).counts.writes).toBe(writes)
  })

  test('fails to be read or saved where the store fails', async () => {
    const sid = await stored({ user: 'ada' })
    const { session } = await app.request(sid)
    await store.close()
    await expect(session.save()).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    await expect(app.request(sid)).rejects.toMatchObject({ code: 'ERR_CLOSED' })
  })
})

describe('withRevisions', () => {
  test('keeps what Fastify knows the plugin by', () => {
    expect(Reflect.get(withRevisions(plugin), marked)).toBe(true)
  })

  test('registers nothing without a store', () => {
    const { failure } = new Instance().register(withRevisions(plugin), { secret: '?' } as never)
    expect(failure).toBeInstanceOf(TypeError)
    expect(failure?.message).toBe('Expected the option `store` to be a `MemcachedStore`, got undefined')
  })

  test('takes only a plugin', () => {
    expect(() => withRevisions({} as never)).toThrow(
      'Expected `plugin` to be what `@fastify/session` exports, got (object)',
    )
  })
})
