import { randomInt } from 'node:crypto'
import { addItem, readItem, swapItem } from '../memcached/ask.ts'

/** A code to type or to scan, and until when it is good, in milliseconds since 1970. */
export interface Code {
  readonly code: string
  readonly until: number
}

export type Taken = { readonly sid: string } | { readonly problem: 'wrong' | 'used' | 'expired' }

/** What is stored under a code; without a session it has been used. */
interface Ticket {
  readonly sid?: string
  readonly until: number
}

const MINUTE = 60_000
/** Seconds for which a code that is over is still told from a wrong one. */
const MEMORY = 600
const LENGTH = 8
/** Without the characters that are mistaken for one another: 30 to the 8th are 656 thousand million codes. */
const ALPHABET = '23456789ABCDEFGHJKMNPQRSTVWXYZ'

/**
 * Short codes that stand for a session for one minute and one use. They are kept in memcached, so that
 * every process of the app knows them, and nowhere else.
 */
export class Codes {
  readonly #addresses: readonly string[]
  readonly #life: number

  /** `life` in milliseconds. */
  constructor(addresses: readonly string[], life: number = MINUTE) {
    this.#addresses = addresses
    this.#life = life
  }

  /** A new code for a session, on the first server that takes it. */
  async give(sid: string): Promise<Code> {
    let failure: unknown
    for (const address of this.#addresses) {
      // A new one for each server: what a failing one has done with the last is not known.
      const code = Array.from({ length: LENGTH }, () => ALPHABET[randomInt(ALPHABET.length)]).join('')
      const until = Date.now() + this.#life
      try {
        // ADD: a code that is out already is never given to a second session.
        if (await addItem(address, keyOf(code), JSON.stringify({ sid, until }), MEMORY))
          return { code, until }
      } catch (error) {
        failure = error
      }
    }
    throw unavailable(failure)
  }

  /** The session that a code stands for; of several browsers that ask at once, one gets it. */
  async take(typed: string): Promise<Taken> {
    const code = normal(typed)
    if (code.length !== LENGTH) return { problem: 'wrong' }
    const found = await Promise.allSettled(
      this.#addresses.map(async address => ({ address, item: await readItem(address, keyOf(code)) })),
    )
    for (const result of found) {
      if (result.status === 'rejected' || result.value.item === null) continue
      const { address, item } = result.value
      const { sid, until } = JSON.parse(item.text) as Ticket
      if (sid === undefined) return { problem: 'used' }
      if (Date.now() >= until) return { problem: 'expired' }
      // Deleted on the condition that nobody else was here. What is left says that it was used.
      const first = await swapItem(address, keyOf(code), JSON.stringify({ until }), MEMORY, item.cas)
      return first ? { sid } : { problem: 'used' }
    }
    const failed = found.find(result => result.status === 'rejected')
    if (failed !== undefined) throw unavailable(failed.reason)
    return { problem: 'wrong' }
  }
}

/** As people read it out. */
export function spelled(code: string): string {
  return `${code.slice(0, LENGTH / 2)}-${code.slice(LENGTH / 2)}`
}

function normal(typed: string): string {
  const code = typed.toUpperCase().replace(/[\s-]/g, '')
  return Array.from(code).every(character => ALPHABET.includes(character)) ? code : ''
}

function keyOf(code: string): string {
  return `join:${code}`
}

function unavailable(cause: unknown): Error {
  return Object.assign(new Error('No memcached server keeps codes just now', { cause }), { status: 503 })
}
