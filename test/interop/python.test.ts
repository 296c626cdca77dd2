import { execFileSync, spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import type { SessionData } from 'express-session'
import { afterAll, describe, expect, inject, test } from 'vitest'
import { MemcachedStore } from '../../lib/index.ts'

// Debian's: the first python3 on the PATH may be another one without its packages.
const PYTHON = '/usr/bin/python3'

const memcached: string | undefined = inject('memcached')?.split(',')[0]
const has = (module: string): boolean => spawnSync(PYTHON, ['-c', `import ${module}`]).status === 0

/** A Python program that reads a session and prints its `visitor`, in ASCII. */
const reader = (client: string): string => `
import json, sys
${client}
print(json.dumps(json.loads(client.get(sys.argv[2]))["visitor"]))
`

const CLIENTS = {
  memcache: reader('import memcache; client = memcache.Client([sys.argv[1]])'),
  pylibmc: reader('import pylibmc; client = pylibmc.Client([sys.argv[1]], binary=True)'),
}

describe.skipIf(memcached === undefined)('a Python program', () => {
  const store = new MemcachedStore({ servers: memcached })
  afterAll(() => store.close())

  for (const [module, program] of Object.entries(CLIENTS)) {
    test.skipIf(!has(module))(`reads a session as plain JSON with python3-${module}`, async () => {
      const sid = randomUUID()
      const visitor = { name: 'Zoë 🦜', cart: [{ id: 1, price: 9.5 }], admin: false, last: null }
      const session: unknown = { cookie: { originalMaxAge: 60_000 }, visitor }
      await store.set(sid, session as SessionData)
      const printed = execFileSync(PYTHON, ['-c', program, memcached as string, `sess:${sid}`])
      expect(JSON.parse(String(printed))).toEqual(visitor)
    })
  }
})
