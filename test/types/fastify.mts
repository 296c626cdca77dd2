// `withRevisions` leaves the plugin its types. Compiled, never run.
import fastifyCookie from '@fastify/cookie'
import fastifySession, { type FastifySessionOptions } from '@fastify/session'
import { expectTypeOf } from 'expect-type'
import { MemcachedStore } from 'express-session-memcached'
import { withRevisions } from 'express-session-memcached/fastify'
import Fastify from 'fastify'

const app = Fastify()
await app.register(fastifyCookie)
const plugin = withRevisions(fastifySession)
expectTypeOf<Parameters<typeof plugin>[1]>().toEqualTypeOf<FastifySessionOptions>()
const secret = 'a secret with at least 32 characters'
await app.register(plugin, { store: new MemcachedStore(), secret, cookie: { maxAge: 60_000 } })
await app.register(withRevisions(fastifySession), { store: new MemcachedStore(), secret })
// @ts-expect-error: a cookie's age is a number
await app.register(plugin, { store: new MemcachedStore(), secret, cookie: { maxAge: 'a day' } })
// @ts-expect-error: that is no plugin
withRevisions({})
