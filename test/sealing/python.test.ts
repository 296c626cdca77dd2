import { execFileSync, spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SessionData } from 'express-session'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { MemcachedStore } from '../../lib/index.ts'
import { OK, Reply } from '../../lib/memcached/reply.ts'
import { deriveKey } from '../../lib/storage/encryption.ts'
import { Keys } from '../../lib/storage/keys.ts'
import { addName, StoredForm } from '../../lib/storage/stored-form.ts'
import { Page } from '../docs/page.ts'
import { EVERYTHING, KEY, OTHER_KEY } from './everything.ts'

// Debian's: the first python3 on the PATH may be another one without its packages.
const PYTHON = '/usr/bin/python3'
const memcached = inject('memcached')?.split(',')[0] as string
const hasPython = spawnSync(PYTHON, ['-c', 'import cryptography']).status === 0

const SECRET = 'correct horse battery staple, and more'
const ONE = '{"cookie":{"originalMaxAge":null},"visitor":"Zoë"}'
const TWENTY = ONE.replace('Zoë', Array(20).fill('Zoë').join(' '))

interface Vector {
  readonly key: string
  readonly flags: number
  readonly value: string
  readonly text: string
}

let page: Page
let vectors: Vector[]

beforeAll(async () => {
  page = await Page.read('docs/sealing.md')
  const values = [...page.text.matchAll(/under `(\S+)`, flags `(0x\w+)`.*?^```text\n(\S+)\n```/gms)]
  vectors = values.map(([, key = '', flags = '', value = ''], index) => {
    return { key, flags: Number(flags), value, text: index === 0 ? ONE : TWENTY }
  })
  expect(vectors).toHaveLength(2)
})

describe('the test vectors of the page', () => {
  test('open', () => {
    const form = new StoredForm({
      maxItemSize: 1_048_576,
      compressFrom: undefined,
      encryptionKeys: [SECRET],
      allowPlain: false,
    })
    const [one, twenty] = vectors.map(({ key, flags, value }) => {
      const reply = new Reply(OK, null, Buffer.from(value, 'base64'))
      reply.flags = flags
      return form.text(key, reply)
    })
    expect([one, twenty]).toEqual([ONE, addName('abc', TWENTY)])
  })

  test('are what keys and names are derived to', () => {
    const keys = new Keys('sess:', { hashKeys: true, encryptionKeys: [SECRET], allowPlain: false })
    const derived = ['encryption', 'names'].map(use => deriveKey(SECRET, use).toString('hex'))
    for (const is of [
      ...derived,
      deriveKey(SECRET, 'id', 4).toString('hex'),
      keys.of('abc'),
      keys.ofUser('ann'),
    ]) {
      expect(page.text).toContain(`| \`${is}\` `)
    }
  })
})

describe.skipIf(!hasPython)('the reader in Python', () => {
  let folder: string
  let reader: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sealed-'))
    reader = join(folder, 'reader.py')
    const code = page.snippet('python', 'def open_value')
    expect(
      code
        .trim()
        .split('\n')
        .filter(line => line !== '').length,
    ).toBeLessThanOrEqual(30)
    await writeFile(reader, code)
  })
  afterAll(() => rm(folder, { recursive: true }))

  const run = (...args: string[]): string => String(execFileSync(PYTHON, args, { cwd: folder })).trimEnd()

  test('opens the test vectors', () => {
    for (const { key, flags, value, text } of vectors) {
      const call = `import base64, reader, sys; sys.stdout.buffer.write(reader.open_value(sys.argv[1], int(sys.argv[2]), base64.b64decode(sys.argv[3]), [sys.argv[4]]))`
      expect(run('-c', call, key, `${flags}`, value, SECRET)).toBe(text)
    }
  })

  test.skipIf(memcached === undefined)('reads a session of the store', async () => {
    await using store = new MemcachedStore({
      ...EVERYTHING,
      servers: memcached,
      encryptionKeys: [KEY, OTHER_KEY],
    })
    const sid = randomUUID()
    const visitor = { name: 'Zoë 🦜', cart: [{ id: 1, price: 9.5 }], text: 'x'.repeat(500) }
    const session: unknown = { cookie: { originalMaxAge: 60_000 }, visitor }
    await store.set(sid, session as SessionData)
    const [host = '', port = ''] = memcached.split(':')
    expect(JSON.parse(run(reader, host, port, sid, KEY, OTHER_KEY))).toMatchObject({ visitor })
  })
})
