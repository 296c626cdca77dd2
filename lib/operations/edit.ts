import type { Session, SessionData } from 'express-session'
import { MemcachedStoreError } from '../errors.ts'
import type { ConflictOutcome } from '../events.ts'
import { isSession, isUnmodified } from '../session/codec.ts'
import { lifeChanged, mergeCookies } from '../session/cookie.ts'
import { expiresOf, type Lifetime } from '../session/expiry.ts'
import { mergeFrom, same } from '../session/merge.ts'
import { type Attempt, attachRevision, lookAtCookie, Revision, revisionOf } from '../session/revision.ts'
import { type Text, textOf } from '../storage/kept-text.ts'
import { SessionRecord } from '../storage/record.ts'
import { knownUser, userOf } from '../users/user-of.ts'
import { type Change, type Decision, type Draft, GONE } from './changes/change.ts'
import type { Context } from './context.ts'
import { living } from './read.ts'

/** So many saves in a row whose outcome is not known are remembered. */
const MAX_ATTEMPTS = 8
const NOTHING: Decision<void> = { draft: null }

type Cookie = SessionData['cookie']

let count = 0

/** What a request wants of its session. */
export interface Wish {
  readonly sid: string
  readonly session: SessionData
  /** What it wants to be stored; null for the data that is. */
  readonly content: Text | null
  readonly lifetime: Lifetime
  readonly originalMaxAge: unknown
  /** Whose session it is with this text; undefined where it is nobody's, or without the option `userOf`. */
  readonly user: string | undefined
}

/** A session with what is to be told of how it came about. */
interface Settled {
  readonly data: SessionData
  /** Of the side that settled it. */
  readonly cookie: SessionData['cookie']
  readonly outcome?: ConflictOutcome | undefined
}

/**
 * What a request does to its session: a save, or a touch, which is a save of the data that is there. Three
 * sides are merged: what the request read, what it wants, and what is stored.
 */
export class Edit implements Change<void> {
  readonly isPatient = false
  readonly isOnce = false
  readonly #context: Context
  readonly #wish: Wish
  /** Of a touch, as it was when that was asked for. */
  readonly #cookie: SessionData['cookie'] | undefined
  /** Its place among all of this process. */
  readonly #number: number = ++count
  #listedAt = 0
  #known: Revision | undefined

  constructor(context: Context, wish: Wish) {
    this.#context = context
    this.#wish = wish
    this.#cookie = wish.content === null ? plain(wish.session.cookie) : undefined
  }

  /** What the request knows: the saves before this one have left it. Undefined for a session that this store has not read. */
  get #revision(): Revision | undefined {
    this.#known ??= revisionOf(this.#wish.session, this.#context.sessions, this.#wish.sid)
    return this.#known
  }

  get guess(): SessionRecord | null {
    const revision = this.#revision
    const { lifetime, content, user } = this.#wish
    if (revision === undefined) {
      if (content === null) return null
      // What was listed may have been signed out since: then its tombstone refuses it.
      return user === undefined ? SessionRecord.UNKNOWN : SessionRecord.MISSING
    }
    if (revision.attempts.length > 0 || revision.record.version === null) return null
    // What was read may be over, and have been renewed by others.
    return this.#isOver(revision, lifetime) ? null : revision.record
  }

  #isOver(revision: Revision, { left, slack, expires }: Lifetime): boolean {
    if (left + slack <= 0) return true
    if (typeof this.#context.settings.ttl === 'function') return false
    lookAtCookie(this.#context.codec, revision)
    // The clock was looked at for `left` already.
    const now = expires === undefined ? Date.now() : expires - left
    return revision.expires !== undefined && revision.expires <= now
  }

  apply(current: SessionRecord): Decision<void> | Promise<Decision<void>> {
    // The hot path: nothing came in between, as far as anybody knows.
    if (current.kind === 'unknown') return this.#store(true)
    const revision = this.#revision
    if (
      revision !== undefined &&
      current === revision.record &&
      revision.isCurrent &&
      this.#wish.content !== null &&
      !this.#goesBack(revision)
    ) {
      return this.#store(false)
    }
    if (current.kind === 'destroyed') return this.#afterLogout(current)
    const theirs = living(this.#context, this.#wish.sid, current)
    if (theirs !== null) {
      if (revision !== undefined || this.#wish.content === null) return this.#merge(current, theirs)
      return this.#store(this.#wish.user === undefined)
    }
    if (this.#wish.content === null) return NOTHING
    if (revision === undefined || current.kind === 'corrupt') return this.#store(false)
    return this.#afterLoss(revision)
  }

  /** Would it move the date back, because the clock of another process is ahead? */
  #goesBack({ expires = Number.NaN, originalMaxAge }: Revision): boolean {
    const { lifetime, originalMaxAge: mine } = this.#wish
    if (lifetime.expires === undefined || !(expires > lifetime.expires)) return false
    return !lifeChanged({ expires, originalMaxAge }, { expires: lifetime.expires, originalMaxAge: mine })
  }

  listed(at: number): void {
    this.#listedAt = at
  }

  settled({ draft, outcome }: Decision<void>, record: SessionRecord, seenAt: number): void {
    const { sid, session, content, lifetime, originalMaxAge, user } = this.#wish
    if (draft === null && content !== null) {
      // Its session was over, and others may renew it: then what its request wanted here is what it goes on from.
      if (outcome === undefined) this.#remember(textOf(content))
      else this.#noteEnd(record, seenAt)
      return
    }
    if (record.kind !== 'stored') return
    if (lifetime.expires === undefined && draft !== null) this.#context.touched.note(sid, undefined, seenAt)
    let revision = this.#revision
    if (revision === undefined) {
      // A live session will be saved again by its request; a plain object was only shown to us.
      if (!isLive(session)) return
      revision = new Revision(this.#context.sessions, sid, record, seenAt)
      attachRevision(session, revision)
    }
    revision.seenAt = seenAt
    if (revision.planned.length > 0) revision.planned = []
    if (content === null) {
      this.#settleTouch(revision, draft !== null, record)
      return
    }
    // What others wrote is no base of this request's edits: it does not know of it.
    revision.content = content
    revision.record = record
    // A later save that failed may have been part of this write.
    if (revision.attempts.length > 0)
      revision.attempts = revision.attempts.filter(({ number }) => number > this.#number)
    if (record.holds(content)) {
      revision.expires = lifetime.expires
      revision.originalMaxAge = originalMaxAge
      revision.user = user
    } else {
      revision.expires = Number.NaN
      revision.user = draft?.user
    }
  }

  /** A login that was signed out before it was stored stays so: what its request saves later on is no new one. */
  #noteEnd(record: SessionRecord, seenAt: number): void {
    const { sid, session } = this.#wish
    if (this.#revision !== undefined || !isLive(session)) return
    const revision = new Revision(this.#context.sessions, sid, record, seenAt)
    // It is not what its tombstone says.
    revision.content = ''
    attachRevision(session, revision)
  }

  #settleTouch(revision: Revision, isWritten: boolean, record: SessionRecord): void {
    const stored = this.#context.codec.decode(record.text)
    if (stored === null) return
    revision.expires = expiresOf(stored.cookie)
    revision.originalMaxAge = stored.cookie.originalMaxAge
    if (isWritten) {
      revision.content = this.#withCookie(revision.text)
      if (revision.attempts.length > 0) revision.attempts = this.#leftAfterTouch(revision)
    }
    // One that met somebody's write leaves it to the next save to settle.
    revision.record = this.#nobodyWrote(revision, record, stored)
      ? record
      : new SessionRecord('stored', revision.record.content, null)
  }

  /** A touch settles what was tried before it but for the data: of a cookie it gave before nothing is left. */
  #leftAfterTouch({ attempts, text: known }: Revision): readonly Attempt[] {
    return attempts
      .map(attempt =>
        attempt.number > this.#number ? attempt : { ...attempt, text: this.#withCookie(attempt.text) },
      )
      .filter(({ number, text }) => number > this.#number || text !== known)
  }

  /** What the request knows after a touch: the data that it read, with the cookie that it gave. */
  #withCookie(before: string): string {
    const { codec } = this.#context
    const known = codec.decode(before)
    if (known === null || this.#cookie === undefined) return before
    try {
      return codec.encode({ ...known, cookie: this.#cookie })
    } catch {
      // The application's serializer, which has written this before. Its touch is done all the same.
      return before
    }
  }

  planned(sent: Draft | null): void {
    const revision = this.#revision
    if (revision === undefined || (sent === null && revision.planned.length === 0)) return
    revision.planned =
      sent === null ? [] : [...revision.planned, this.#attempt(revision, textOf(sent.content))]
  }

  doubted({ kind, content }: Draft): void {
    if (kind === 'stored') this.#remember(textOf(content))
  }

  failed(sent: Draft | null): void {
    this.planned(null)
    if (sent !== null) this.doubted(sent)
  }

  /** What may be stored, or was promised: the next save must not take it for somebody else's, nor forget it. */
  #remember(sent: string): void {
    const { sid, session, content } = this.#wish
    let revision = this.#revision
    if (revision === undefined) {
      if (content === null || !isLive(session)) return
      revision = new Revision(this.#context.sessions, sid, SessionRecord.MISSING, performance.now())
      attachRevision(session, revision)
    }
    revision.attempts = [...revision.attempts, this.#attempt(revision, sent)].slice(-MAX_ATTEMPTS)
  }

  #attempt(revision: Revision, sent: string): Attempt {
    const { content } = this.#wish
    const text = content === null ? this.#withCookie(revision.text) : textOf(content)
    return { number: this.#number, text, sent }
  }

  /** What the request wants, as it is. */
  #store(isBlind: boolean): Decision<void> {
    const { content, lifetime, user } = this.#wish
    const isListed = !isBlind && user !== undefined && user === this.#revision?.user
    return { draft: { kind: 'stored', content: content as Text, lifetime, user, isListed, isBlind } }
  }

  #afterLogout({ text }: SessionRecord): Decision<void> {
    if (this.#wish.content === null) return NOTHING
    const isRevoked = this.#listedAt !== 0 && Number(text) >= this.#listedAt
    if (this.#revision === undefined && !isRevoked) return this.#store(false)
    return { draft: null, outcome: 'destroyed' }
  }

  /**
   * Nothing is there: memcached has lost it, it has ended by age, or somebody has logged out and even the
   * tombstone is gone. Where that cannot be, since the request has seen it so lately, it is written again.
   */
  #afterLoss({ content, seenAt }: Revision): Decision<void> {
    const { left, slack } = this.#wish.lifetime
    if (left + slack <= 0) return NOTHING
    // A new session, whose first save has failed, is in nobody's hands who could log it out.
    const isNew = content === ''
    if (!isNew && this.#context.sessions.hasMovedSince(this.#wish.sid, seenAt)) {
      return { draft: GONE, outcome: 'destroyed' }
    }
    if (!isNew && !this.#context.sessions.remembers(seenAt)) return { draft: null, outcome: 'destroyed' }
    const decision = this.#store(false)
    // Its index may be lost as well.
    return { draft: decision.draft && { ...decision.draft, isListed: false } }
  }

  #merge(current: SessionRecord, theirs: SessionData): Decision<void> | Promise<Decision<void>> {
    const own = this.#tried().findLast(({ sent }) => this.#isSame(sent, current.text))
    const bases = this.#bases(own?.text, theirs)
    if (this.#cookie !== undefined) return this.#renew(current, bases, theirs, this.#cookie)
    const settled = this.#settleData(current, own !== undefined, bases, theirs)
    if (settled === null) return rejected()
    return settled instanceof Promise
      ? settled.then(found => this.#finish(bases, theirs, found))
      : this.#finish(bases, theirs, settled)
  }

  /**
   * What its request has tried to store by then, or is about to, in the order in which it was asked for: a later
   * save may fail first. What later ones tried is nothing that this one takes back.
   */
  #tried(): readonly Attempt[] {
    const revision = this.#revision
    if (revision === undefined) return []
    return [...revision.attempts, ...revision.planned]
      .filter(({ number }) => number <= this.#number)
      .sort((one, other) => one.number - other.number)
  }

  /** A backing store may give it back with a later date. */
  #isSame(sent: string, stored: string): boolean {
    return sent === stored || this.#context.codec.isRefresh(sent, stored)
  }

  /** What `theirs` may have started from: what the request read, and what it may have stored since. */
  #bases(own: string | undefined, theirs: SessionData): SessionData[] {
    const revision = this.#revision
    if (revision === undefined) return [theirs]
    const texts = own === undefined ? [revision.text, ...this.#tried().map(({ text }) => text)] : [own]
    return texts.map(text => this.#context.codec.decode(text) ?? { cookie: theirs.cookie })
  }

  /** Null where it is not to be settled. */
  #settleData(
    current: SessionRecord,
    isOwn: boolean,
    bases: readonly SessionData[],
    theirs: SessionData,
  ): Settled | Promise<Settled> | null {
    const { codec, settings } = this.#context
    const { onConflict } = settings
    const mine = codec.decode(textOf(this.#wish.content as Text)) as SessionData
    const { cookie } = mine
    const revision = this.#revision as Revision
    const base = bases[0] as SessionData
    const isAlone = isOwn || this.#nobodyWrote(revision, current, theirs)
    // What is stored is what the request knows: a refreshed date at most came in between.
    if (isAlone && sameButCookie(base, theirs)) return { data: mine, cookie }
    // It has nothing to say that it has not said before: a second save, while the first was on its way.
    if (bases.every(known => sameButCookie(known, mine))) return { data: theirs, cookie }
    if (onConflict === 'merge' || (isAlone && typeof onConflict !== 'function')) {
      const data = mergeFrom(bases, mine, theirs) as SessionData
      return { data, cookie, outcome: isAlone ? undefined : 'merged' }
    }
    if (onConflict === 'reject') return null
    if (onConflict === 'overwrite') return { data: mine, cookie, outcome: 'overwritten' }
    return Promise.resolve(onConflict(base, mine, theirs)).then((data: unknown) => {
      if (isSession(data)) return { data, cookie: data.cookie, outcome: 'resolved' }
      throw new TypeError('Expected `onConflict` to return a session, with its `cookie`')
    })
  }

  /** Is it what this request has seen there, but for a cookie that others refreshed? */
  #nobodyWrote({ record }: Revision, current: SessionRecord, theirs: SessionData): boolean {
    if (record.kind !== 'stored') return false
    if (isUnmodified(record.text, current.text)) return true
    // Texts do not tell with a serializer of another format.
    const before = this.#context.codec.decode(record.text)
    return before !== null && sameButCookie(before, theirs)
  }

  /** Gives the data the cookie that it is to have. */
  #finish(
    bases: readonly SessionData[],
    theirs: SessionData,
    { data, cookie, outcome }: Settled,
  ): Decision<void> {
    const merged = mergeCookies(cookiesOf(bases), cookie, theirs.cookie)
    const { originalMaxAge, expires } = merged
    // Who settles a conflict otherwise settles the cookie, too, but for the date.
    const isMerged = outcome === undefined || outcome === 'merged'
    // In place, which leaves it first: but for the application's own, all these are of our own parsing.
    const next = outcome === 'resolved' ? { ...data } : data
    next.cookie = isMerged ? merged : ({ ...cookie, originalMaxAge, expires } as Cookie)
    const user = userOf(this.#context.settings, next)
    return { ...this.#decide(next, this.#context.codec.encode(next), user, false), outcome }
  }

  /** What is stored, with a cookie that is renewed; nothing where that is not due. */
  #renew(
    current: SessionRecord,
    bases: readonly SessionData[],
    theirs: SessionData,
    mine: Cookie,
  ): Decision<void> {
    const { codec, settings, touched } = this.#context
    const merged = mergeCookies(cookiesOf(bases), mine, theirs.cookie)
    const user = knownUser(settings, theirs)
    const { slack } = this.#wish.lifetime
    const lag = (expiresOf(merged) ?? Infinity) - (expiresOf(theirs.cookie) ?? Infinity)
    const isSame = !lifeChanged(theirs.cookie, merged) && sameButDate(theirs.cookie, merged)
    theirs.cookie = merged
    // What has failed once may lie here, and not be safe yet.
    const isDoubtful = (this.#revision?.attempts.length ?? 0) > 0
    if (!isSame || lag >= slack || isDoubtful) return this.#decide(theirs, codec.encode(theirs), user, true)
    // Without a date it is memcached's own that is renewed.
    if (expiresOf(merged) !== undefined || touched.within(this.#wish.sid, slack)) return NOTHING
    return this.#decide(theirs, current.text, user, true)
  }

  #decide(next: SessionData, text: string, user: string | undefined, isListed: boolean): Decision<void> {
    const { expiry, sessions } = this.#context
    const { sid } = this.#wish
    const lifetime = expiry.of(next, sid)
    // Both sides together have run out, as a `ttl` function has it.
    if (lifetime.left + lifetime.slack <= 0) return { draft: GONE }
    sessions.check(sid, text)
    return { draft: { kind: 'stored', content: text, lifetime, user, isListed, isBlind: false } }
  }
}

function rejected(): Decision<void> {
  const error = new MemcachedStoreError(
    'ERR_CONFLICT',
    'The session was changed by another request since this one read it',
  )
  return { draft: null, outcome: 'rejected', error }
}

/**
 * Is it one of express-session's, which its request saves again? By its methods: there may be more than one
 * copy of express-session in a tree.
 */
export function isLive(session: SessionData): boolean {
  const { save, touch } = session as Partial<Session>
  return typeof save === 'function' && typeof touch === 'function'
}

/** A cookie as it is stored: a live one hides its date behind accessors. */
function plain(cookie: SessionData['cookie']): SessionData['cookie'] {
  const { toJSON } = cookie as { toJSON?: () => SessionData['cookie'] }
  return typeof toJSON === 'function' ? toJSON.call(cookie) : cookie
}

function cookiesOf(sessions: readonly SessionData[]): Cookie[] {
  return sessions.map(({ cookie }) => cookie)
}

/** Do two sessions hold the same data? */
function sameButCookie(a: SessionData, b: SessionData): boolean {
  const [mine, theirs] = [Object.entries(a), new Map(Object.entries(b))]
  if (mine.length !== theirs.size) return false
  return mine.every(([key, value]) => key === 'cookie' || (theirs.has(key) && same(value, theirs.get(key))))
}

/** Are two cookies the same as they are stored, but for what a refresh changes? */
function sameButDate(a: Cookie, b: Cookie): boolean {
  const bare = (cookie: Cookie): object =>
    JSON.parse(JSON.stringify({ ...cookie, originalMaxAge: 0, expires: 0 }))
  return same(bare(a), bare(b))
}
