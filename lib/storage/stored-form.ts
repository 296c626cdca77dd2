import type { Item } from '../memcached/node.ts'
import { NOT_FOUND, type Reply } from '../memcached/reply.ts'
import { compress, compressNow, decompress } from './compression.ts'
import { Keyring, SEAL_BYTES } from './encryption.ts'
import { type Text, textOf } from './kept-text.ts'
import { MAX_KEY } from './limits.ts'
import { SessionRecord, type Version } from './record.ts'

/*
 * Flags of a stored item. Plain JSON has 0, so that other languages read it as it is. Ours are high
 * bits: the low ones are used by other clients for types of their own languages.
 */
/**
 * A destroyed session: the id stays refused until the item expires. The value is one byte at least, since
 * not every engine takes less, and may say since when logins are refused. Empty ones of before count, too.
 */
export const TOMBSTONE = 0x0001_0000
/** The key is a hash; the value begins with the id as a JSON string and a newline. */
export const NAMED = 0x0002_0000
/** The value is encrypted; what is in it is as the other flags say. */
export const SEALED = 0x0004_0000
/** The value, or what is in it, is compressed. */
export const DEFLATED = 0x0008_0000

/** It is on its way to another key: see `relocation.ts`. */
export const MOVED = 0x0010_0000

/** What is unpacked may be so many times as large as an item: no value becomes a bomb. */
export const MAX_GROWTH = 8

export interface FormOptions {
  /** memcached's `-I`, in bytes. */
  readonly maxItemSize: number
  /** Bytes from which on a value is compressed; undefined: never. */
  readonly compressFrom: number | undefined
  /** The first seals, all open. Without any, values stay plain. */
  readonly encryptionKeys: readonly string[]
  /** Is plain text read where there are keys? */
  readonly allowPlain: boolean
}

/**
 * How a text lies in memcached: as it is, compressed, sealed, or compressed and then sealed. A sealed value opens
 * under the key alone that it was sealed for, as what it was sealed as.
 */
export class StoredForm {
  /** Values that were sealed. */
  sealed = 0
  readonly #maxItemSize: number
  readonly #compressFrom: number
  readonly #keyring: Keyring | null
  readonly #readsPlain: boolean
  readonly #context: Buffer = Buffer.alloc(4 + MAX_KEY)

  constructor({ maxItemSize, compressFrom, encryptionKeys, allowPlain }: FormOptions) {
    this.#maxItemSize = maxItemSize
    this.#compressFrom = compressFrom ?? Infinity
    this.#keyring = encryptionKeys.length === 0 ? null : new Keyring(encryptionKeys)
    this.#readsPlain = this.#keyring === null || allowPlain
  }

  /** The item for a text. A promise where that takes long. */
  item(key: string, text: Text, flags: number, expiration: number): Item | Promise<Item> {
    // A character takes at most three bytes in UTF-8.
    const isShort = text.length * 3 < this.#compressFrom || Buffer.byteLength(text) < this.#compressFrom
    const packed = isShort ? null : compress(typeof text === 'string' ? Buffer.from(text) : text)
    return packed instanceof Promise
      ? packed.then(this.#sealPacked.bind(this, key, text, flags, expiration))
      : this.#sealPacked(key, text, flags, expiration, packed)
  }

  /** @param packed - null where the text is not to be compressed. */
  #sealPacked(key: string, text: Text, flags: number, expiration: number, packed: Buffer | null): Item {
    return this.#seal(key, packed ?? text, packed === null ? flags : flags | DEFLATED, expiration)
  }

  /** The same for a text that is never compressed. */
  shortItem(key: string, text: string, flags: number, expiration: number): Item {
    return this.#seal(key, text, flags, expiration)
  }

  #seal(key: string, value: string | Buffer, flags: number, expiration: number): Item {
    if (this.#keyring === null) return { key, value, flags, expiration }
    this.sealed++
    const sealed = this.#keyring.seal(value, this.#contextOf(key, flags | SEALED))
    return { key, value: sealed, flags: flags | SEALED, expiration }
  }

  /** Bytes that a text takes as a value at the least, as far as it matters whether that is more than so many. */
  size(text: string, limit: number): number {
    const seal = this.#keyring === null ? 0 : SEAL_BYTES
    const bytes = Buffer.byteLength(text)
    const isPacked = bytes >= this.#compressFrom && bytes <= this.#maxItemSize * MAX_GROWTH
    return bytes + seal > limit && isPacked
      ? Math.min(bytes, compressNow(Buffer.from(text)).length) + seal
      : bytes + seal
  }

  /** The text of an item that was read; null where it holds none that this store has written. A promise where that takes long. */
  text(key: string, reply: Reply): string | null | Promise<string | null> {
    const { flags } = reply
    if ((flags & SEALED) === 0) {
      if (!this.#readsPlain) return null
      // What takes longer than the callback needs bytes of its own.
      return (flags & DEFLATED) === 0 ? reply.text : this.#unpack(Buffer.from(reply.bytes))
    }
    const opened = this.#keyring?.open(reply.bytes, this.#contextOf(key, flags)) ?? null
    if (opened === null) return null
    return (flags & DEFLATED) === 0 ? textOf(opened) : this.#unpack(opened)
  }

  /** Would it be sealed otherwise today? */
  isOutdated({ flags, bytes }: Reply): boolean {
    if (this.#keyring === null) return false
    return (flags & SEALED) === 0 || !this.#keyring.isCurrent(bytes)
  }

  /** What a reply to a read holds. A promise where that takes long. */
  record(key: string, reply: Reply): SessionRecord | Promise<SessionRecord> {
    if (reply.status === NOT_FOUND) return SessionRecord.MISSING
    const text = this.text(key, reply)
    return text instanceof Promise ? lateRecord(text, reply) : toRecord(text, reply.flags, reply.version)
  }

  #unpack(packed: Buffer): string | null | Promise<string | null> {
    const bytes = decompress(packed, this.#maxItemSize * MAX_GROWTH)
    if (bytes instanceof Promise) return bytes.then(late => (late === null ? null : textOf(late)))
    return bytes === null ? null : textOf(bytes)
  }

  /** Where a value lies, and as what. Used at once, so one buffer serves all. */
  #contextOf(key: string, flags: number): Buffer {
    this.#context.writeUInt32BE(flags >>> 0, 0)
    return this.#context.subarray(0, 4 + this.#context.latin1Write(key, 4))
  }
}

async function lateRecord(text: Promise<string | null>, { flags, version }: Reply): Promise<SessionRecord> {
  return toRecord(await text, flags, version)
}

/** What a text means that was read with these flags. */
export function toRecord(text: string | null, flags: number, version: Version | null): SessionRecord {
  if (flags === 0 && text !== null) return new SessionRecord('stored', text, version)

  // What is under a tombstone is refused, whoever has set it.
  if ((flags & TOMBSTONE) !== 0) return new SessionRecord('destroyed', text ?? '', version)
  const session = text === null || (flags & NAMED) === 0 ? text : splitName(text)?.text
  return session === null || session === undefined
    ? new SessionRecord('corrupt', '', version)
    : new SessionRecord('stored', session, version)
}

/** The id in the text under a hashed key; undefined where it is none. */
export function nameIn(text: string | null, flags: number): string | undefined {
  return text === null || (flags & NAMED) === 0 ? undefined : splitName(text)?.sid
}

export function addName(sid: string, text: string): string {
  return `${JSON.stringify(sid)}\n${text}`
}

/** Splits what {@link addName} made; null where it is something else. */
export function splitName(value: string): { sid: string; text: string } | null {
  const end = value.indexOf('\n')
  if (end === -1) return null
  try {
    const sid: unknown = JSON.parse(value.slice(0, end))
    return typeof sid === 'string' ? { sid, text: value.slice(end + 1) } : null
  } catch {
    return null
  }
}
