// What an application says of its sessions is known wherever the store gives or takes one. Compiled, never run.
import { expectTypeOf } from 'expect-type'
import type { SessionData } from 'express-session'
import {
  type Change,
  type ConflictResolver,
  type IdentifiedSession,
  type ListedSession,
  MemcachedStore,
  type MemcachedStoreOptions,
  type Serializer,
  type TtlFunction,
  type UserOf,
  type UserSession,
} from 'express-session-memcached'

interface Cart {
  items: string[]
}

declare module 'express-session' {
  interface SessionData {
    user: string
    cart?: Cart
  }
}

const store = new MemcachedStore({
  userOf: session => {
    expectTypeOf(session.user).toEqualTypeOf<string>()
    return session.user
  },
  ttl: (session, sid) => {
    expectTypeOf(session.cart).toEqualTypeOf<Cart | undefined>()
    expectTypeOf(sid).toEqualTypeOf<string>()
    return 60
  },
  onConflict: (base, mine, theirs) => {
    expectTypeOf(base.cart).toEqualTypeOf<Cart | undefined>()
    expectTypeOf(mine.user).toEqualTypeOf<string>()
    return { ...theirs, cart: mine.cart }
  },
  serializer: {
    stringify: session => {
      expectTypeOf(session.user).toEqualTypeOf<string>()
      return session.user
    },
    parse: text => text,
  },
})

// get
const found = await store.get('id')
expectTypeOf(found).toEqualTypeOf<SessionData | null>()
expectTypeOf(found?.cart?.items).toEqualTypeOf<string[] | undefined>()
store.get('id', (error, session) => {
  expectTypeOf(error).toEqualTypeOf<Error | null | undefined>()
  expectTypeOf(session).toEqualTypeOf<SessionData | null | undefined>()
})
// @ts-expect-error: a session has no such key
found?.basket

// getMany
expectTypeOf(await store.getMany(['id'])).toEqualTypeOf<Map<string, SessionData>>()
expectTypeOf((await store.getMany(new Set(['id']))).get('id')?.user).toEqualTypeOf<string | undefined>()

// update
const updated = await store.update('id', session => {
  expectTypeOf(session.cart).toEqualTypeOf<Cart | undefined>()
  session.cart = { items: ['tea'] }
})
expectTypeOf(updated).toEqualTypeOf<SessionData | null>()
await store.update('id', async session => ({ ...session, user: 'ada' }))
await store.update('id', session => {
  // @ts-expect-error: a user is a string
  session.user = 1
})
// @ts-expect-error: that is no session
await store.update('id', () => ({ user: 'ada' }))

// set, touch
if (found !== null) await store.set('id', { ...found, user: 'bob' })
// @ts-expect-error: a session has a cookie and a user
await store.set('id', {})

// sessions, all, sessionsOf
for await (const listed of store.sessions()) {
  expectTypeOf(listed).toEqualTypeOf<ListedSession>()
  expectTypeOf(listed.session.user).toEqualTypeOf<string>()
}
expectTypeOf(await store.all()).toEqualTypeOf<IdentifiedSession[]>()
expectTypeOf<IdentifiedSession>().toMatchTypeOf<{ id: string; user: string }>()
expectTypeOf(await store.sessionsOf('ada')).toEqualTypeOf<UserSession[]>()
expectTypeOf<UserSession['session']['cart']>().toEqualTypeOf<Cart | undefined>()

// By name
expectTypeOf<Parameters<UserOf>>().toEqualTypeOf<[session: SessionData]>()
expectTypeOf<Parameters<TtlFunction>>().toEqualTypeOf<[session: SessionData, sid: string]>()
expectTypeOf<Parameters<ConflictResolver>[0]>().toEqualTypeOf<SessionData>()
expectTypeOf<Parameters<Change>[0]>().toEqualTypeOf<SessionData>()
expectTypeOf<Parameters<Serializer['stringify']>[0]>().toEqualTypeOf<SessionData>()
expectTypeOf<MemcachedStoreOptions['userOf']>().toEqualTypeOf<UserOf | undefined>()
