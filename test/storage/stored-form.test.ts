import { randomBytes } from 'node:crypto'
import { deflateSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { OK, Reply } from '../../lib/memcached/reply.ts'
import {
  addName,
  DEFLATED,
  type FormOptions,
  MAX_GROWTH,
  NAMED,
  SEALED,
  StoredForm,
  splitName,
  TOMBSTONE,
} from '../../lib/storage/stored-form.ts'
import { codePoint } from '../support/code-point.ts'

const KEYS = ['a secret of 32 characters or more', 'another secret that is long enough']
const [KEY, OTHER] = KEYS as [string, string]
const MAX_ITEM = 1_048_576

function form(options: Partial<FormOptions> = {}): StoredForm {
  return new StoredForm({
    maxItemSize: MAX_ITEM,
    compressFrom: undefined,
    encryptionKeys: [],
    allowPlain: false,
    ...options,
  })
}

const encrypting = form({ encryptionKeys: [KEY] })
const sealing = form({ encryptionKeys: [KEY], compressFrom: 0 })

interface Stored {
  readonly value: Buffer
  readonly flags: number
}

async function store(by: StoredForm, text: string, { key = 'sess:a', flags = 0 } = {}): Promise<Stored> {
  const item = await by.item(key, text, flags, 0)
  return { value: Buffer.from(item.value), flags: item.flags }
}

function reply({ value, flags }: Stored): Reply {
  const found = new Reply(OK, null, value)
  found.flags = flags
  return found
}

async function read(by: StoredForm, stored: Stored, key = 'sess:a'): Promise<string | null> {
  return by.text(key, reply(stored))
}

describe('the name under a hashed key', () => {
  test('comes back with the text, whatever both hold', () => {
    const any = fc.string({ unit: codePoint })
    fc.assert(
      fc.property(fc.oneof(any, fc.constantFrom('', '\n', '"\n"', '\ud800')), any, (sid, text) => {
        expect(splitName(addName(sid, text))).toEqual({ sid, text })
      }),
    )
  })

  test.each(['', '\n', 'a\n{}', '{}\n{}', '5\n{}', '"a"', '"a\n"{}'])('%j is none', value => {
    expect(splitName(value)).toBeNull()
  })
})

describe('a text', () => {
  const texts = fc.oneof(
    fc.string({ unit: codePoint }),
    fc.constantFrom('', '{"cookie":{}}', 'x'.repeat(5000), 'é'.repeat(70_000), 'ab'.repeat(150_000)),
  )

  test.each([
    ['plain', form()],
    ['compressed', form({ compressFrom: 0 })],
    ['encrypted', encrypting],
    ['both', sealing],
  ])('comes back: %s', async (_, by) => {
    await fc.assert(
      fc.asyncProperty(texts, async text => {
        expect(await read(by, await store(by, text))).toBe(text)
      }),
    )
  })

  test('is plain, with flags 0, unless something else is asked for', async () => {
    expect(await store(form(), '{}')).toEqual({ value: Buffer.from('{}'), flags: 0 })
  })

  test('is compressed from the threshold on, and where that makes it smaller', async () => {
    const by = form({ compressFrom: 100 })
    expect((await store(by, 'x'.repeat(99))).flags).toBe(0)
    expect((await store(by, 'x'.repeat(100))).flags).toBe(DEFLATED)
    expect((await store(by, 'é'.repeat(50))).flags).toBe(DEFLATED)
    expect((await store(form({ compressFrom: 0 }), randomBytes(12).toString('base64'))).flags).toBe(0)
    const random = randomBytes(100_000).toString('base64')
    expect(await read(by, await store(by, random))).toBe(random)
  })

  test('never lies there the same way twice once it is encrypted', async () => {
    const seen = new Set<string>()
    for (let i = 0; i < 2000; i++) seen.add((await store(encrypting, '{}')).value.toString('latin1', 4, 16))
    expect(seen.size).toBe(2000)
  })

  test('is read whether or not it would be compressed today', async () => {
    const packed = await store(form({ compressFrom: 0 }), 'x'.repeat(50))
    expect(await read(form(), packed)).toBe('x'.repeat(50))
  })
})

describe('keys', () => {
  test('of a list all open, in whatever order, and the first seals', async () => {
    const before = await store(form({ encryptionKeys: [OTHER] }), 'text')
    const both = form({ encryptionKeys: [KEY, OTHER] })
    expect(await read(both, before)).toBe('text')
    const after = await store(both, 'text')
    expect(await read(encrypting, after)).toBe('text')
    expect(await read(form({ encryptionKeys: [OTHER, KEY] }), after)).toBe('text')
    expect(await read(form({ encryptionKeys: [OTHER] }), after)).toBeNull()
    expect(await read(form(), after)).toBeNull()
  })

  test('of the same beginning are different ones', async () => {
    const stored = await store(encrypting, 'text')
    expect(await read(form({ encryptionKeys: [`${KEY}!`] }), stored)).toBeNull()
  })
})

describe('plain text, where there are keys,', () => {
  test('is nothing, and what it was with `allowPlain`', async () => {
    for (const flags of [0, NAMED]) {
      const plain = { value: Buffer.from(addName('a', '{}')), flags }
      expect(await read(encrypting, plain)).toBeNull()
      expect(await read(form({ encryptionKeys: [KEY], allowPlain: true }), plain)).toBe(addName('a', '{}'))
    }
  })

  test('is a logout still, but says nothing of when', async () => {
    const plain = reply({ value: Buffer.from('1700000000000'), flags: TOMBSTONE })
    expect(await encrypting.record('sess:a', plain)).toMatchObject({ kind: 'destroyed', text: '' })
  })
})

describe('a sealed value', () => {
  const text = '{"cookie":{"originalMaxAge":null},"secret":"word"}'

  test('opens under no other key, prefix or kind', async () => {
    const stored = await store(sealing, text, { key: 'sess:a' })
    for (const key of ['sess:b', 'other:a', 'sess:@a', 'sess:!a', 'sess:', 'sess:aa']) {
      expect(await read(sealing, stored, key)).toBeNull()
    }
    for (const flag of [TOMBSTONE, NAMED, DEFLATED, 1, 0x8000_0000]) {
      expect(await read(sealing, { ...stored, flags: (stored.flags ^ flag) >>> 0 })).toBeNull()
    }
  })

  test('that is cut, at whatever length, is none', async () => {
    for (const by of [encrypting, sealing]) {
      const stored = await store(by, text)
      for (let length = 0; length < stored.value.length; length++) {
        expect(await read(by, { ...stored, value: stored.value.subarray(0, length) })).toBeNull()
        expect(await read(by, { ...stored, value: stored.value.subarray(length + 1) })).toBeNull()
      }
      expect(await read(by, { ...stored, value: Buffer.concat([stored.value, Buffer.of(0)]) })).toBeNull()
    }
  })

  test('with a bit flipped, whichever, is none', async () => {
    for (const by of [encrypting, sealing]) {
      const stored = await store(by, text)
      for (let bit = 0; bit < stored.value.length * 8; bit++) {
        const value = Buffer.from(stored.value)
        value[bit >> 3] = (value[bit >> 3] as number) ^ (1 << (bit & 7))
        expect(await read(by, { ...stored, value })).toBeNull()
      }
    }
  })

  test('of any bytes and flags is none, and never a throw', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), fc.nat(0xff), async (bytes, high) => {
        const flags = (high << 16) | SEALED
        expect(await read(sealing, { value: Buffer.from(bytes), flags })).toBeNull()
      }),
    )
  })
})

describe('a compressed value', () => {
  test('that is cut or of other bytes is none, however long', async () => {
    const by = form({ compressFrom: 0 })
    for (const text of ['x'.repeat(100), randomBytes(60_000).toString('hex')]) {
      const stored = await store(by, text)
      for (const length of [0, 1, 2, stored.value.length - 1]) {
        expect(await read(by, { ...stored, value: stored.value.subarray(0, length) })).toBeNull()
      }
    }
    for (const bytes of [10, 100_000]) {
      expect(await read(by, { value: randomBytes(bytes), flags: DEFLATED })).toBeNull()
    }
  })

  test('that would unpack to more than the bound is none', async () => {
    const bytes = MAX_ITEM * MAX_GROWTH
    const bomb = { value: deflateSync(Buffer.alloc(bytes + 1)), flags: DEFLATED }
    expect(bomb.value.length).toBeLessThan(10_000)
    expect(await read(form(), bomb)).toBeNull()
    expect(await read(form(), { ...bomb, value: deflateSync(Buffer.alloc(bytes)) })).toHaveLength(bytes)
  })
})

test('the size says what an item takes, and packs only what would not fit', async () => {
  const text = 'x'.repeat(5000)
  expect(form().size(text, 100)).toBe(5000)
  expect(encrypting.size(text, 100)).toBe(5032)
  for (const by of [sealing, form({ compressFrom: 0 })]) {
    expect(by.size(text, 100)).toBe((await store(by, text)).value.length)
    expect(by.size(text, 10_000)).toBeGreaterThanOrEqual(5000)
  }
})
