// The sessions that are stored: no two alike, each of an exact size in bytes as stored.

import { randomBytes } from 'node:crypto'

const DAY = 86_400_000
const LETTERS = 'abcdefghijklmnopqrstuvwxyz'

/** As express-session makes them: 24 random bytes. @returns {string} */
export function newSid() {
  return randomBytes(24).toString('base64url')
}

/**
 * @param {number} bytes its size as JSON
 * @param {number} variant gives each its own text
 * @returns {any}
 */
export function newSession(bytes, variant) {
  const session = {
    cookie: {
      originalMaxAge: DAY,
      expires: new Date(Date.now() + DAY).toISOString(),
      httpOnly: true,
      path: '/',
    },
    user: {
      id: 100_000 + variant,
      name: `${letters(variant, 5)} ${letters(variant * 7, 9)}`,
      roles: ['editor', 'author'],
    },
    csrf: letters(variant * 31, 24),
    lang: variant % 2 === 0 ? 'en' : 'de',
    views: 1_000 + (variant % 9_000),
    cart: [newItem(variant)],
    note: '',
  }
  // What is left goes into a cart of many small items, as real big sessions have it, then into a note.
  let left = bytes - JSON.stringify(session).length
  while (left > 400) {
    const item = newItem(left + variant)
    left -= JSON.stringify(item).length + 1
    session.cart.push(item)
  }
  session.note = letters(variant, bytes - JSON.stringify(session).length)
  if (JSON.stringify(session).length !== bytes) throw new Error(`No session of ${bytes} bytes`)
  return session
}

/** @param {number} seed */
function newItem(seed) {
  return { sku: letters(seed, 8), price: 1_000 + (seed % 9_000), count: 2 }
}

/** Changes a session without changing its size. @param {any} session @param {number} turn */
export function edit(session, turn) {
  session.views = 1_000 + (turn % 9_000)
}

/** @param {number} seed @param {number} length */
function letters(seed, length) {
  let text = ''
  for (let i = 0; i < length; i++) text += LETTERS[(seed + i * i + i * (seed % 7)) % 26]
  return text
}
