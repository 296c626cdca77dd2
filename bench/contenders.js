// Who is measured. Each is opened as its own documentation says, with its defaults, and is a session
// store: what is not one by itself (the limit, stock memjs) gets the same few methods here.

import { createRequire } from 'node:module'
import session from 'express-session'
import { Limit } from './limit.js'

const require = createRequire(import.meta.url)

/**
 * @typedef {object} Contender
 * @property {'memcached' | 'redis' | 'mongod' | null} server what it needs
 * @property {(port: number) => Promise<Opened>} open
 *
 * @typedef {object} Opened
 * @property {any} store
 * @property {() => unknown} close
 */

const SECRET = 'a secret of 32 characters or more'

/** @param {object} options @returns {Contender} */
function ours(options) {
  return {
    server: 'memcached',
    async open(port) {
      const { MemcachedStore } = await import(new URL('dist/index.js', import.meta.url).href)
      const store = new MemcachedStore({ servers: `127.0.0.1:${port}`, ...options })
      return { store, close: () => store.close() }
    },
  }
}

/** @type {Record<string, Contender>} */
export const contenders = {
  limit: {
    server: 'memcached',
    async open(port) {
      const limit = new Limit(port)
      return { store: asStore(limit), close: () => limit.close() }
    },
  },

  ours: ours({}),
  'ours, text': ours({ protocol: 'text' }),
  encrypted: ours({ encryptionKeys: SECRET }),
  compressed: ours({ compress: true }),
  both: ours({ encryptionKeys: SECRET, compress: true }),
  'both, hashed ids': ours({ encryptionKeys: SECRET, compress: true, hashKeys: true }),

  memjs: {
    server: 'memcached',
    async open(port) {
      const { Client } = require('memjs')
      const client = Client.create(`127.0.0.1:${port}`)
      const store = {
        get: (sid, done) =>
          client.get(`sess:${sid}`, (error, value) =>
            error || !value ? done(error) : done(null, JSON.parse(value.toString())),
          ),
        set: (sid, value, done) =>
          client.set(`sess:${sid}`, JSON.stringify(value), { expires: 86_400 }, done),
        touch: (sid, _value, done) => client.touch(`sess:${sid}`, 86_400, done),
        destroy: (sid, done) => client.delete(`sess:${sid}`, done),
      }
      return { store: asStore(store), close: () => client.close() }
    },
  },

  'connect-memjs': {
    server: 'memcached',
    async open(port) {
      const MemjsStore = require('connect-memjs')(session)
      const store = new MemjsStore({ servers: [`127.0.0.1:${port}`], prefix: 'sess:' })
      return { store, close: () => store.client.close() }
    },
  },

  'connect-memcached': {
    server: 'memcached',
    async open(port) {
      const MemcachedStore = require('connect-memcached')(session)
      const store = new MemcachedStore({ hosts: [`127.0.0.1:${port}`], prefix: 'sess:' })
      return { store, close: () => store.client.end() }
    },
  },

  'connect-redis': {
    server: 'redis',
    open: port => openRedis({ url: `redis://127.0.0.1:${port}` }),
  },

  // redis 6 makes an AbortSignal for the deadline of each command, which costs more than all the rest
  // of it. This is the same without: as fast as redis 4 and 5 were, and without a deadline as they were.
  'connect-redis, no deadline': {
    server: 'redis',
    open: port => openRedis({ url: `redis://127.0.0.1:${port}`, commandOptions: { timeout: 0 } }),
  },

  'connect-mongo': {
    server: 'mongod',
    async open(port) {
      const { MongoStore } = await import('connect-mongo')
      const store = MongoStore.create({ mongoUrl: `mongodb://127.0.0.1:${port}/sessions` })
      store.on('error', () => {})
      return { store, close: () => store.close() }
    },
  },

  MemoryStore: {
    server: null,
    async open() {
      return { store: new session.MemoryStore(), close() {} }
    },
  },

  memorystore: {
    server: null,
    async open() {
      const MemoryStore = require('memorystore')(session)
      const store = new MemoryStore({ checkPeriod: 86_400_000 })
      return { store, close: () => store.stopInterval() }
    },
  },
}

/** @param {import('redis').RedisClientOptions} options @returns {Promise<Opened>} */
async function openRedis(options) {
  const { RedisStore } = await import('connect-redis')
  const { createClient } = await import('redis')
  const client = createClient(options)
  // Without a listener an outage would end the process (Node's rule for 'error' events).
  client.on('error', () => {})
  await client.connect()
  return { store: new RedisStore({ client }), close: () => client.destroy() }
}

/** What express-session asks of a store besides, from express-session itself. @param {any} methods */
function asStore(methods) {
  const store = new /** @type {any} */ (session.Store)()
  for (const name of ['get', 'set', 'touch', 'destroy']) {
    if (methods[name] !== undefined) store[name] = methods[name].bind(methods)
  }
  return store
}
