import {
  type CipherGCMTypes,
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  hkdfSync,
  type KeyObject,
  randomFillSync,
} from 'node:crypto'

const ALGORITHM: CipherGCMTypes = 'aes-256-gcm'
const KEY_BYTES = 32
const ID_BYTES = 4
/** What GCM is made for: of another length nonces are hashed (NIST SP 800-38D, section 5.2.1.1). */
const NONCE_BYTES = 12
const TAG_BYTES = 16
const HEAD_BYTES: number = ID_BYTES + NONCE_BYTES
/** Nonces that are drawn at a time: one draw costs as much as a hundred. */
const NONCES = 512

/** Bytes by which a sealed value is longer than what is in it. */
export const SEAL_BYTES: number = HEAD_BYTES + TAG_BYTES

/** A key for one use, of a secret (RFC 5869; the secret need not be random all over, but hard to guess). */
export function deriveKey(secret: string, use: string, bytes: number = KEY_BYTES): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, '', `express-session-memcached ${use}`, bytes))
}

interface Key {
  /** Stands in front of each value that it has sealed. */
  readonly id: Buffer
  readonly secret: KeyObject
}

/**
 * Seals with one key, opens with several: AES-256-GCM with random nonces. A value is the key's id (4 bytes), a nonce
 * (12), what is in it, and the tag (16).
 */
export class Keyring {
  readonly #keys: readonly Key[]
  readonly #nonces: Buffer = Buffer.allocUnsafe(NONCES * NONCE_BYTES)
  #next: number = NONCES * NONCE_BYTES

  /** @param secrets - the first seals, all open. One at least. */
  constructor(secrets: readonly string[]) {
    this.#keys = secrets.map(secret => ({
      id: deriveKey(secret, 'id', ID_BYTES),
      secret: createSecretKey(deriveKey(secret, 'encryption')),
    }))
  }

  /** @param context - what the value is and where it lies: opens there alone. */
  seal(value: string | Buffer, context: Buffer): Buffer {
    const { id, secret } = this.#keys[0] as Key
    const nonce = this.#nonce()
    // Its tag has TAG_BYTES by default; to say so costs 0.4 µs of 6, here and in `open`.
    const cipher = createCipheriv(ALGORITHM, secret, nonce)
    cipher.setAAD(context)
    const hidden = typeof value === 'string' ? cipher.update(value, 'utf8') : cipher.update(value)
    // Counter mode: nothing is left over.
    cipher.final()
    const sealed = Buffer.allocUnsafe(hidden.length + SEAL_BYTES)
    sealed.set(id)
    sealed.set(nonce, ID_BYTES)
    sealed.set(hidden, HEAD_BYTES)
    sealed.set(cipher.getAuthTag(), HEAD_BYTES + hidden.length)
    return sealed
  }

  /** Has the key that seals sealed this, as far as its beginning tells? */
  isCurrent(value: Buffer): boolean {
    return value.length >= ID_BYTES && (this.#keys[0] as Key).id.compare(value, 0, ID_BYTES) === 0
  }

  /** What is in a sealed value; null where none of the keys opens it. */
  open(value: Buffer, context: Buffer): Buffer | null {
    const end = value.length - TAG_BYTES
    if (end < HEAD_BYTES) return null
    for (const { id, secret } of this.#keys) {
      if (id.compare(value, 0, ID_BYTES) !== 0) continue
      const decipher = createDecipheriv(ALGORITHM, secret, value.subarray(ID_BYTES, HEAD_BYTES))
      decipher.setAAD(context)
      // TAG_BYTES always, never a shorter one, which would be easier to guess.
      decipher.setAuthTag(value.subarray(end))
      const text = decipher.update(value.subarray(HEAD_BYTES, end))
      try {
        decipher.final()
        return text
      } catch {
        // Not sealed by this key, for this place, or as it is now.
      }
    }
    return null
  }

  #nonce(): Buffer {
    if (this.#next === this.#nonces.length) {
      randomFillSync(this.#nonces)
      this.#next = 0
    }
    const nonce = this.#nonces.subarray(this.#next, this.#next + NONCE_BYTES)
    this.#next += NONCE_BYTES
    return nonce
  }
}
