import type { Request } from 'express'
import type { SessionData } from 'express-session'
import type { MemcachedStore } from '../../lib/index.ts'

/** Calls whose outcome nobody waits for, in a request that has loaded its session. */
export const CALLS: Record<string, (store: MemcachedStore, req: Request) => unknown> = {
  // express-session's own calls. `reload` and `regenerate` it cannot do itself without a callback.
  'req.session.save()': (_, { session }) => session.save(),
  'req.session.touch()': (_, { session }) => session.touch(),
  // Its type demands a callback, its code does not.
  'req.session.destroy()': (_, { session }) => (session.destroy as () => unknown)(),
  'req.session.reload(callback)': (_, { session }) => session.reload(nothing),
  'req.session.regenerate(callback)': (_, { session }) => session.regenerate(nothing),
  'save at the end of a response': (_, { session }) => Object.assign(session, { views: 1 }),
  'touch at the end of a response': nothing,
  'destroy at the end of a response': (_, req) => Object.assign(req, { session: null }),

  get: store => store.get('sid'),
  set: store => store.set('sid', sessionOf()),
  touch: store => store.touch('sid', sessionOf()),
  destroy: store => store.destroy('sid'),
  getMany: store => store.getMany(['sid', 'other']),
  update: store => store.update('sid', nothing),
  sessionsOf: store => store.sessionsOf('ada'),
  destroyAllOf: store => store.destroyAllOf('ada'),
  all: store => store.all(),
  ids: store => store.ids(),
  length: store => store.length(),
  clear: store => store.clear(),
  stats: store => store.stats(),

  // Bad arguments, too, are told to nobody.
  'set of no session': store => store.set('sid', { cookie: null } as unknown as SessionData),
  'sessionsOf nobody': store => store.sessionsOf(null as unknown as string),
}

function nothing(): void {}

function sessionOf(): SessionData {
  return { cookie: { originalMaxAge: null }, user: 'ada' } as unknown as SessionData
}
