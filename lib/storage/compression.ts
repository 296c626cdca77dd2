import { constants, deflate, deflateSync, inflate, inflateSync } from 'node:zlib'

/*
 * zlib's format (RFC 1950), and not zstd where this Node has it: an older Node has not, and while an
 * application is moved to a newer one processes of both read the same sessions.
 *
 * The fastest level: it takes a tenth to a third of the default's time, and JSON comes out at most a tenth
 * larger (64 kB: 0.3 ms against 1.8, to 17 % against 16 %).
 */
const OPTIONS = { level: constants.Z_BEST_SPEED }

/**
 * From so many bytes on another thread does it: that costs some 0.1 ms in itself, and here it would keep
 * everybody else waiting for 0.3 ms or more, 8 ms for a megabyte.
 */
const LONG_TEXT = 65_536
/** The same of what is compressed, which is unpacked in a quarter of the time. */
const LONG_PACKED = 32_768

/** A text, smaller; null where it would not be. A promise of it where that takes long. */
export function compress(text: Buffer): Buffer | null | Promise<Buffer | null> {
  const ifSmaller = (packed: Buffer): Buffer | null => (packed.length < text.length ? packed : null)
  if (text.length < LONG_TEXT) return ifSmaller(deflateSync(text, OPTIONS))
  return new Promise((resolve, reject) => {
    deflate(text, OPTIONS, (error, packed) => (error === null ? resolve(ifSmaller(packed)) : reject(error)))
  })
}

/** The same, now: for what is to be known before anything is sent. */
export function compressNow(text: Buffer): Buffer {
  return deflateSync(text, OPTIONS)
}

/**
 * What {@link compress} made; null where it is something else, or larger than so many bytes. A promise of it where
 * that takes long.
 */
export function decompress(packed: Buffer, maxOutputLength: number): Buffer | null | Promise<Buffer | null> {
  if (packed.length >= LONG_PACKED) {
    return new Promise(resolve => {
      inflate(packed, { maxOutputLength }, (error, text) => resolve(error === null ? text : null))
    })
  }
  try {
    return inflateSync(packed, { maxOutputLength })
  } catch {
    return null
  }
}
