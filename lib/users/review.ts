import type { SessionData } from 'express-session'
import type { Indexes } from './indexes.ts'
import type { Entry, UserIndex } from './user-index.ts'

/** So many sessions of one user may live; the oldest beyond them are destroyed. */
const MAX_SESSIONS = 1000
/** With more entries than that, an index is looked through each time it has grown by so many. */
const REVIEW_STEP = 16
/** From so many on an index is looked through each time it has doubled. A power of two. */
const FIRST_REVIEW = 16
/** Milliseconds for which an entry whose session is missing may be of a login that is about to write it. */
const GRACE = 300_000

/** What the users' sessions are looked at and ended with. */
export interface SessionAccess {
  /** Those of these sessions that live. */
  read(sids: readonly string[]): Promise<ReadonlyMap<string, SessionData>>

  /** Destroys a session, and refuses it to a login too that has listed it by then and is about to write it. */
  revoke(entry: Entry): Promise<void>

  /** Whose session this is. */
  ownerOf(session: SessionData): string | undefined
}

/** Looks at the sessions that an index lists, and keeps it from growing. */
export class Review {
  readonly #indexes: Indexes
  readonly #access: SessionAccess
  /** Users whose index is being looked through. */
  readonly #running: Set<string> = new Set()

  constructor(indexes: Indexes, access: SessionAccess) {
    this.#indexes = indexes
    this.#access = access
  }

  /** The user's living sessions, in the order in which they were listed. Drops from the index what is none. */
  async run(user: string): Promise<[sid: string, session: SessionData][]> {
    const stored = await this.#indexes.read(user)
    if (stored === null) return []
    const { index } = stored
    const found = await this.find(user, index.entries)
    const standing = index.entries.filter(entry => isYoung(entry) || found.has(entry))
    const doomed = new Set(this.#surplus({ ...index, entries: standing }, found))
    // Destroyed rather than forgotten: a session that is not listed would survive every sign-out.
    await Promise.all([...doomed].map(entry => this.#access.revoke(entry)))
    const kept = standing.filter(entry => !doomed.has(entry))
    // Where this is refused somebody has just written: another look will drop them.
    if (kept.length < index.entries.length)
      await this.#indexes.replace(user, stored, { ...index, entries: kept })
    return kept
      .filter(entry => found.has(entry))
      .map(entry => [entry.sid, found.session(entry) as SessionData])
  }

  /** The same beside the request that met this index, where it is due. */
  runIfDue(user: string, index: UserIndex): void {
    if (this.#running.has(user) || !this.#isDue(index)) return
    this.#running.add(user)
    const end = (): unknown => this.#running.delete(user)
    this.run(user).then(end, end)
  }

  async find(user: string, entries: readonly Entry[]): Promise<Found> {
    const sessions = await this.#access.read(entries.map(({ sid }) => sid))
    return new Found(sessions, session => this.#access.ownerOf(session) === user)
  }

  /** So seldom that a login pays for a few reads on average. */
  #isDue(index: UserIndex): boolean {
    const { length } = index.entries
    const isSurplus = this.#indexes.surplus(index) > 0
    if (length > MAX_SESSIONS) return (length - MAX_SESSIONS) % REVIEW_STEP === 1 || isSurplus
    return (length >= FIRST_REVIEW && (length & (length - 1)) === 0) || isSurplus
  }

  /**
   * Entries that there is no room for. Sessions are counted, not entries, so that logins and logouts cost no
   * living session its place; and where the index is too large, logins that have not been written yet give
   * way first. A session of somebody else is not this user's to destroy.
   */
  #surplus(index: UserIndex, found: Found): Entry[] {
    const living = index.entries.filter(entry => found.has(entry))
    const missing = index.entries.filter(entry => found.session(entry) === undefined)
    const tooMany = Math.max(0, living.length - MAX_SESSIONS)
    const inOrder = [...living.slice(0, tooMany), ...missing, ...living.slice(tooMany)]
    return inOrder.slice(0, Math.max(tooMany, this.#indexes.surplus(index)))
  }
}

/** Sessions of an index, as they were just read. */
export class Found {
  readonly #sessions: ReadonlyMap<string, SessionData>
  readonly #isUsers: (session: SessionData) => boolean

  constructor(sessions: ReadonlyMap<string, SessionData>, isUsers: (session: SessionData) => boolean) {
    this.#sessions = sessions
    this.#isUsers = isUsers
  }

  /** It, if it was found alive, whoever's it is. */
  session({ sid }: Entry): SessionData | undefined {
    return this.#sessions.get(sid)
  }

  /** Was this session found alive, and the user's? */
  has(entry: Entry): boolean {
    const session = this.session(entry)
    return session !== undefined && this.#isUsers(session)
  }
}

export function isYoung({ at }: Entry): boolean {
  return Date.now() - at < GRACE
}
