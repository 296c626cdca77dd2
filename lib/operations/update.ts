import type { SessionData } from 'express-session'
import { isSession } from '../session/codec.ts'
import { lifeChanged } from '../session/cookie.ts'
import { attachRevision, Revision } from '../session/revision.ts'
import type { SessionRecord } from '../storage/record.ts'
import { knownUser, userOf } from '../users/user-of.ts'
import { type Change, type Decision, GONE } from './changes/change.ts'
import type { Context } from './context.ts'
import type { Done } from './done.ts'
import { living } from './read.ts'

/** What `update` does to a session: changes it in place, or returns another one. It may be called several times. */
export type Updater = (session: SessionData) => SessionData | void | Promise<SessionData | void>

/** Runs a function on what is stored, until nothing came in between. */
class Update implements Change<SessionData | null> {
  readonly guess = null
  readonly isPatient = true
  /** A counter must not count twice. */
  readonly isOnce = true
  readonly #context: Context
  readonly #sid: string
  readonly #updater: Updater

  constructor(context: Context, sid: string, updater: Updater) {
    this.#context = context
    this.#sid = sid
    this.#updater = updater
  }

  apply(current: SessionRecord): Decision<SessionData | null> | Promise<Decision<SessionData | null>> {
    const session = living(this.#context, this.#sid, current)
    if (session === null) return { draft: null, result: null }
    const before = { ...session.cookie }
    const user = knownUser(this.#context.settings, session)
    const returned = this.#updater(session)
    return isPromise(returned)
      ? returned.then(found => this.#decide(found ?? session, before, user))
      : this.#decide(returned ?? session, before, user)
  }

  settled({ draft, result }: Decision<SessionData | null>, record: SessionRecord, seenAt: number): void {
    if (draft === null || draft.lifetime === null || result == null) return
    const revision = new Revision(this.#context.sessions, this.#sid, record, seenAt, draft.user)
    // Others may have changed it in the same write.
    revision.content = draft.content
    attachRevision(result, revision)
  }

  #decide(
    changed: SessionData,
    before: SessionData['cookie'],
    listed: string | undefined,
  ): Decision<SessionData | null> {
    const { codec, expiry, sessions, settings } = this.#context
    if (!isSession(changed)) throw new TypeError('Expected the update to leave a session, with its `cookie`')
    takeMaxAge(changed.cookie, before)
    const lifetime = expiry.of(changed, this.#sid)
    if (lifetime.left <= 0 && (typeof settings.ttl === 'function' || lifeChanged(before, changed.cookie))) {
      return { draft: GONE, result: null }
    }
    const content = codec.encode(changed)
    sessions.check(this.#sid, content)
    const user = userOf(settings, changed)
    const isListed = user === listed
    return { draft: { kind: 'stored', content, lifetime, user, isListed, isBlind: false }, result: changed }
  }
}

/** What is stored is a plain cookie, in which `maxAge` is no accessor: makes of it what a live one would. */
function takeMaxAge(cookie: SessionData['cookie'], before: SessionData['cookie']): void {
  const { maxAge } = cookie
  if (typeof maxAge !== 'number' || maxAge === before.maxAge || !Object.hasOwn(cookie, 'maxAge')) return
  Reflect.deleteProperty(cookie, 'maxAge')
  Object.assign(cookie, { originalMaxAge: maxAge, expires: new Date(Date.now() + maxAge) })
}

/**
 * Reads, changes and writes until nothing came in between. In this process the updates of one session are
 * worked out together, in their order, and written as one; others are met by the condition on the write.
 */
export function update(
  context: Context,
  sid: string,
  updater: Updater,
  done: Done<SessionData | null>,
): void {
  if (typeof updater !== 'function') {
    throw new TypeError(`Expected \`change\` to be a function, got (${typeof updater})`)
  }
  context.changes.submit(context, sid, new Update(context, sid, updater), done)
}

function isPromise<T>(value: T | Promise<T>): value is Promise<T> {
  return typeof (value as Promise<T> | undefined)?.then === 'function'
}
