import { cp, mkdtemp, rm, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type session from 'express-session'
import { describe, expect, inject, test } from 'vitest'
import type { MemcachedStore } from '../../lib/index.ts'
import { type LiveSession, save } from './live.ts'
import { TwoStores } from './two-stores.ts'

const servers = inject('memcached')
const require = createRequire(import.meta.url)

/** Another copy of express-session, as a tree may have where two versions are asked for. */
class Copy implements AsyncDisposable {
  readonly session: typeof session
  readonly #folder: string

  private constructor(folder: string) {
    this.#folder = folder
    this.session = require(join(folder, 'copy', 'express-session'))
  }

  static async make(): Promise<Copy> {
    const original = dirname(require.resolve('express-session/package.json'))
    const folder = await mkdtemp(join(tmpdir(), 'express-session-'))
    await cp(original, join(folder, 'copy', 'express-session'), { recursive: true })
    // What it depends on.
    await symlink(dirname(original), join(folder, 'node_modules'))
    return new Copy(folder)
  }

  /** A session of a new visitor, as this copy generates it. */
  generate(store: MemcachedStore): Promise<LiveSession> {
    const middleware = this.session({
      store,
      secret: 'test',
      resave: false,
      saveUninitialized: false,
      cookie: { maxAge: 60_000 },
    })
    const req = { url: '/', headers: {} } as unknown as { session: LiveSession }
    const res = { end: () => {}, writeHead: () => {} }
    return new Promise(resolve => {
      middleware(req as never, res as never, () => resolve(req.session))
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#folder, { recursive: true })
  }
}

describe.skipIf(servers === null)('a session of a second copy of express-session', () => {
  const start = (): TwoStores => new TwoStores({ servers: servers as string })

  test('is merged with what another request changed since its first save', async () => {
    await using copy = await Copy.make()
    await using stores = start()
    const live = await copy.generate(stores.here)
    expect(live).not.toBeInstanceOf((require('express-session') as typeof session).Session)
    live.mine = 1
    await save(live)
    await stores.edit(live.id, theirs => {
      theirs.theirs = 1
    })
    live.mine = 2
    await save(live)
    expect(await stores.stored(live.id)).toEqual({ mine: 2, theirs: 1 })
    expect(stores.conflicts).toEqual([[live.id, 'merged']])
  })

  test('stays logged out', async () => {
    await using copy = await Copy.make()
    await using stores = start()
    const live = await copy.generate(stores.here)
    live.mine = 1
    await save(live)
    await stores.elsewhere.destroy(live.id)
    live.mine = 2
    await save(live)
    expect(await stores.stored(live.id)).toBeNull()
    expect(stores.conflicts).toEqual([[live.id, 'destroyed']])
  })
})

describe.skipIf(servers === null)('a copy of a session that was read', () => {
  test('is a plain object: it is written whole, whatever is there', async () => {
    await using stores = new TwoStores({ servers: servers as string })
    const sid = await stores.create({ a: 1 })
    const read = await stores.read(sid)
    await stores.elsewhere.destroy(sid)
    await stores.here.set(sid, { ...read })
    expect(await stores.stored(sid)).toEqual({ a: 1 })
    // While the object that was read is refused.
    await stores.elsewhere.destroy(sid)
    await stores.here.set(sid, Object.assign(read, { b: 2 }))
    expect(await stores.stored(sid)).toBeNull()
  })
})
