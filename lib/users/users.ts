import type { SessionData } from 'express-session'
import { readCallOptions } from '../call-options.ts'
import { MemcachedStoreError } from '../errors.ts'
import { backOff } from '../pause.ts'
import { RecentKeys } from '../recent-keys.ts'
import { expiresOf, type Lifetime, type TtlFunction } from '../session/expiry.ts'
import type { Records } from '../storage/storage.ts'
import { type IndexChange, Indexes } from './indexes.ts'
import { isYoung, Review, type SessionAccess } from './review.ts'
import { type Entry, isListed, list, type UserIndex } from './user-index.ts'

const MAX_ATTEMPTS = 100
/** Milliseconds between two attempts, at most. */
const MAX_PAUSE = 50
/** Milliseconds after which the entry of a session in use is looked after again, at the latest. */
const MAX_SPAN = 300_000
/** Sessions whose last look at their user's index is remembered. */
const MAX_REMEMBERED = 10_000

/** One living session of a user. */
export interface UserSession {
  /** Its id, without the prefix. */
  readonly sid: string
  /** What is stored under it. */
  readonly session: SessionData
  /**
   * When its visitor was last seen, late by `touchAfter` at most: the last time its cookie's date was
   * stored. Undefined where the cookie has no date or no `originalMaxAge`.
   */
  readonly lastSeen: Date | undefined
  /** When it ends if its visitor does not come back. Undefined where `lastSeen` and the cookie do not tell. */
  readonly expires: Date | undefined
}

/** Options of `destroyAllOf`. */
export interface DestroyAllOptions {
  /**
   * Id of the one session that stays: usually `req.sessionID`.
   *
   * @defaultValue none stays
   */
  except?: string | undefined
}

/** Where a session was seen to be listed. */
interface Listing {
  readonly user: string
  /** Milliseconds of Unix time until which that index is kept. */
  readonly until: number
}

/** Whose sessions are whose: an index per user, kept true while sessions come, live on and go. */
export class Users {
  readonly #indexes: Indexes
  readonly #access: SessionAccess
  readonly #review: Review
  readonly #ttl: number | TtlFunction
  /** Sessions that have been seen to be in their user's index, when, and until when that is kept. */
  readonly #listed: RecentKeys<Listing> = new RecentKeys(MAX_REMEMBERED)

  /** @param ttl - the option. */
  constructor(records: Records, access: SessionAccess, ttl: number | TtlFunction) {
    this.#indexes = new Indexes(records)
    this.#access = access
    this.#review = new Review(this.#indexes, access)
    this.#ttl = ttl
  }

  /**
   * The user's living sessions, the latest login first.
   *
   * @throws TypeError - for a user that is no string.
   */
  async sessionsOf(user: string): Promise<UserSession[]> {
    check(user)
    const living = await this.#review.run(user)
    return living.reverse().map(([sid, session]) => ({ sid, session, ...this.#times(sid, session) }))
  }

  /**
   * Destroys every session that is listed, until nothing has been listed in between. A login that is
   * listed but not yet written finds a tombstone that refuses it.
   *
   * @throws TypeError - for a user that is no string.
   */
  async destroyAllOf(user: string, options?: DestroyAllOptions): Promise<void> {
    check(user)
    const { except } = readCallOptions(options, ['except'])
    const revoked = new Map<string, number>()
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      if (attempt > 0) await backOff(attempt, MAX_PAUSE)
      const stored = await this.#indexes.read(user)
      if (stored === null) return
      const { entries } = stored.index
      const others = entries.filter(({ sid, at }) => sid !== except && revoked.get(sid) !== at)
      const found = await this.#review.find(user, others)
      // A session of somebody else stays. Should it be about to become this user's, that is a login after this.
      const isForeign = (entry: Entry): boolean => found.session(entry) !== undefined && !found.has(entry)
      const doomed = others.filter(entry => !isForeign(entry))
      await Promise.all(doomed.map(entry => this.#access.revoke(entry)))
      for (const { sid, at } of doomed) revoked.set(sid, at)
      const left = entries.filter(entry => entry.sid === except || (isForeign(entry) && isYoung(entry)))
      if (left.length === entries.length) return
      if (await this.#indexes.replace(user, stored, { ...stored.index, entries: left })) return
    }
    throw new MemcachedStoreError('ERR_CONFLICT', 'Too many logins of this user meanwhile: try again')
  }

  /**
   * Lists a session as this user's, before it is written: so no session of a user is alive and not listed.
   * Writes in any case, so that nobody drops the entry who has read the index before. Gives the entry's
   * `at`, by which a sign-out tells a login that came before it from one that came after.
   */
  async enlist(user: string, sid: string, lifetime: Lifetime): Promise<number> {
    const index = await this.#change(user, found => list(found, sid, wanted(lifetime, 3)))
    this.#listed.note(sid, { user, until: index.until })
    return index.entries.find(entry => entry.sid === sid)?.at as number
  }

  /**
   * Keeps the index true for a session that lives on: makes it outlive the session, by a whole life, since a save that
   * is told to have failed may have been carried out; and lists the session again should the index have been lost. One
   * read now and then, and where less is known of the index; a write in half a session's life. Goes on beside the
   * request, whose own work it is not: a later one makes up for a failure.
   */
  keepListed(user: string | undefined, sid: string, lifetime: Lifetime): void {
    if (user === undefined) return
    const end = wanted(lifetime, 2)
    const known = this.#listed.find(sid, Math.min(lifetime.left / 100, MAX_SPAN))
    if (known?.user === user && known.until >= end) return
    this.#listed.note(sid, { user, until: end })
    this.#change(user, found => {
      if (!isListed(found, sid)) return list(found, sid, wanted(lifetime, 3))
      return found.until >= wanted(lifetime, 2.5) ? found : { ...found, until: wanted(lifetime, 3) }
    }).then(
      ({ until }) => this.#listed.note(sid, { user, until }),
      () => this.#listed.forget(sid),
    )
  }

  async #change(user: string, apply: IndexChange): Promise<UserIndex> {
    const index = await this.#indexes.change(user, apply)
    this.#review.runIfDue(user, index)
    return index
  }

  /** A cookie's date lies `originalMaxAge` after the moment at which it was refreshed. */
  #times(sid: string, session: SessionData): Pick<UserSession, 'lastSeen' | 'expires'> {
    const date = expiresOf(session.cookie)
    const { originalMaxAge } = session.cookie
    const seen = date !== undefined && typeof originalMaxAge === 'number' ? date - originalMaxAge : undefined
    const ttl = this.#ttl
    // A `ttl` function stands above the cookie's date.
    const ends = typeof ttl !== 'function' ? date : seen && seen + ttl(session, sid) * 1000
    return { lastSeen: toDate(seen), expires: toDate(ends) }
  }
}

/** Until when an index is to be kept: for more than one life of the session, so that it is seldom written. */
function wanted({ left, slack }: Lifetime, lives: number): number {
  // Where the stored date is over, the session lives on for the rest of the slack.
  return Math.min(Math.ceil(Date.now() + Math.max(left, 0) * lives + slack), Number.MAX_SAFE_INTEGER)
}

function check(user: unknown): void {
  if (typeof user !== 'string') throw new TypeError(`Expected \`user\` to be a string, got (${typeof user})`)
}

function toDate(time: number | undefined): Date | undefined {
  return time === undefined || Number.isNaN(time) ? undefined : new Date(time)
}
