// The rest of what the package exports. Compiled, never run.
import { expectTypeOf } from 'expect-type'
import express from 'express'
import session, { type Store } from 'express-session'
import {
  type ConflictOutcome,
  MemcachedStore,
  MemcachedStoreError,
  type MemcachedStoreErrorCode,
  type MemcachedStoreOptions,
  type StoreStats,
} from 'express-session-memcached'
import { dns, elastiCache } from 'express-session-memcached/discovery'
import { EmbeddedMemcached } from 'express-session-memcached/embedded'

const store = new MemcachedStore()
expectTypeOf(store).toMatchTypeOf<Store>()
const app = express()
app.use(session({ store, secret: 'secret', resave: false, saveUninitialized: false }))
app.post('/checkout', store.exclusive({ wait: 1 }), (req, res) => {
  expectTypeOf(req.exclusive).toEqualTypeOf<AbortSignal | undefined>()
  res.end()
})

// A callback or a promise
expectTypeOf(store.destroy('id')).toEqualTypeOf<Promise<void>>()
expectTypeOf(store.destroy('id', () => {})).toEqualTypeOf<void>()
expectTypeOf(store.ids()).toEqualTypeOf<Promise<string[]>>()
expectTypeOf(store.length()).toEqualTypeOf<Promise<number>>()
expectTypeOf(store.clear()).toEqualTypeOf<Promise<void>>()
expectTypeOf(store.close()).toEqualTypeOf<Promise<void>>()
expectTypeOf(store.stats()).toEqualTypeOf<Promise<StoreStats>>()
expectTypeOf(store.destroyAllOf('ada', { except: 'id' })).toEqualTypeOf<Promise<void>>()
expectTypeOf(store.withLock('id', ({ signal }) => signal.aborted)).toEqualTypeOf<Promise<boolean>>()

// Events
store.on('conflict', (sid, { outcome }) => {
  expectTypeOf(sid).toEqualTypeOf<string>()
  expectTypeOf(outcome).toEqualTypeOf<ConflictOutcome>()
})
store.on('corrupt', sid => expectTypeOf(sid).toEqualTypeOf<string>())
store.on('servers', (now, before) => expectTypeOf(now).toEqualTypeOf(before))

// Errors
const error = new MemcachedStoreError('ERR_CLOSED', 'closed')
expectTypeOf(error.code).toEqualTypeOf<MemcachedStoreErrorCode>()
expectTypeOf(error.status).toEqualTypeOf<number | undefined>()

// Options
const options: MemcachedStoreOptions = {
  servers: elastiCache('cluster:11211'),
  ttl: 60,
  onConflict: 'reject',
}
new MemcachedStore({ ...options, servers: dns('name', { timeout: 1 }), compress: { threshold: 1 } })
// @ts-expect-error: no such option
new MemcachedStore({ server: 'localhost' })
// @ts-expect-error: no such mode
new MemcachedStore({ onConflict: 'ours' })
// @ts-expect-error: seconds are a number
new MemcachedStore({ ttl: '60' })
for (const { reachable, ...server } of (await store.stats()).servers) {
  if (!reachable) expectTypeOf(server.address).toEqualTypeOf<string>()
}

expectTypeOf(EmbeddedMemcached.start()).resolves.toHaveProperty('address').toEqualTypeOf<string>()
