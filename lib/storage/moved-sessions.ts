import type { Cluster, Home, Moves } from '../cluster/cluster.ts'
import type { Version as CasToken } from '../memcached/node.ts'
import { OK } from '../memcached/reply.ts'
import { RecentKeys } from '../recent-keys.ts'
import type { Text } from './kept-text.ts'
import type { Keys } from './keys.ts'
import type { MemcachedSessions } from './memcached-sessions.ts'
import { SessionRecord } from './record.ts'
import type { RecordCallback, ScannedRecord, Sessions } from './storage.ts'
import { TOMBSTONE } from './stored-form.ts'

/** Sessions that were changed lately, and those that were destroyed: so many of each are remembered. */
const MAX_REMEMBERED = 10_000

/** Where something may have been left behind. */
interface Leftover {
  readonly home: Home
  readonly key: string
}

export interface MovedSessionsOptions {
  readonly cluster: Cluster
  readonly moves: Moves
  readonly keys: Keys
  /** Writes tombstones where a session lay before. */
  readonly graves: Pick<MemcachedSessions, 'destroyAt'>
  /** Milliseconds by which other processes may see a change of servers earlier than this one. */
  readonly lag: number
}

/**
 * Sessions on servers that change. A session whose home has changed is not looked for where it lay before; but
 * nothing old must come back when the list does, nor when processes see a change one after the other:
 *
 * - Whoever stores a session removes what lies where it lay before, and whoever destroys it leaves a tombstone
 *   there, too. Both are done before the caller is told, as far as those servers answer.
 * - Others may have used the new home of a session while this process still used the old one. So what it has
 *   changed lately it undoes there when it sees the change: what it destroyed it destroys there, what it stored
 *   is removed there.
 * - What was read before a change, and is not there after it, is not written again ({@link hasMovedSince}), but
 *   destroyed: else what its request has changed would be missing when the old home is back.
 */
export class MovedSessions implements Sessions {
  readonly #sessions: Sessions
  readonly #options: MovedSessionsOptions
  /** Of the servers that there are now. */
  #stored: RecentKeys
  #destroyed: RecentKeys<string>

  constructor(sessions: Sessions, options: MovedSessionsOptions) {
    this.#sessions = sessions
    this.#options = options
    this.#stored = new RecentKeys(MAX_REMEMBERED)
    this.#destroyed = new RecentKeys(MAX_REMEMBERED)
    options.moves.listen(() => this.#catchUp())
  }

  get patience(): number {
    return this.#sessions.patience
  }

  get readPatience(): number {
    return this.#sessions.readPatience
  }

  addressOf(sid: string): string {
    return this.#sessions.addressOf(sid)
  }

  read(sid: string, done: RecordCallback): void {
    this.#sessions.read(sid, done)
  }

  write(sid: string, text: Text, milliseconds: number, over: SessionRecord, done: RecordCallback): void {
    const { moves } = this.#options
    const { count } = moves
    const leftovers = this.#leftovers(sid)
    const all = together(leftovers.length + 1, done)
    for (const leftover of leftovers) remove(leftover, all.end)
    this.#sessions.write(sid, text, milliseconds, over, (error, record) => {
      if (error === null && record?.kind !== 'stored') {
        all.first(error, record)
        return
      }
      this.#destroyed.forget(sid)
      this.#stored.note(sid)
      if (moves.count === count) all.first(error, record)
      else this.#removeAnew(sid, () => all.first(error, record))
    })
  }

  writeTombstone(sid: string, revokedAt: string, over: SessionRecord, done: RecordCallback): void {
    const { moves, graves } = this.#options
    const { count } = moves
    const leftovers = this.#leftovers(sid)
    const all = together(leftovers.length + 1, done)
    for (const { home, key } of leftovers) {
      graves.destroyAt(key, revokedAt, SessionRecord.UNKNOWN, all.end, home)
    }
    this.#sessions.writeTombstone(sid, revokedAt, over, (error, record) => {
      if (error === null && record?.kind !== 'destroyed') {
        all.first(error, record)
        return
      }
      this.#stored.forget(sid)
      this.#destroyed.note(sid, revokedAt)
      if (moves.count === count) all.first(error, record)
      else this.#destroyAnew(sid, revokedAt, () => all.first(error, record))
    })
  }

  check(sid: string, text: string): void {
    this.#sessions.check(sid, text)
  }

  remembers(since: number): boolean {
    return this.#sessions.remembers(since)
  }

  hasMovedSince(sid: string, since: number): boolean {
    return since <= this.#options.moves.lastAt && this.#leftovers(sid).length > 0
  }

  scan(alive?: (sid: string) => void): AsyncGenerator<ScannedRecord[], void, undefined> {
    return this.#sessions.scan(alive)
  }

  #keysOf(sid: string): readonly string[] {
    const { keys } = this.#options
    return [keys.of(sid), ...keys.othersOf(sid)]
  }

  #leftovers(sid: string): readonly Leftover[] {
    const { moves } = this.#options
    if (moves.count === 0) return []
    return this.#keysOf(sid).flatMap(key => moves.formerHomes(key).map(home => ({ home, key })))
  }

  /** The servers have changed, for others perhaps a while ago. */
  #catchUp(): void {
    const { lag } = this.#options
    const [stored, destroyed] = [this.#stored, this.#destroyed]
    this.#stored = new RecentKeys(MAX_REMEMBERED)
    this.#destroyed = new RecentKeys(MAX_REMEMBERED)
    for (const sid of stored.recent(lag)) this.#removeAnew(sid, () => {})
    for (const sid of destroyed.recent(lag)) this.#destroyAnew(sid, destroyed.find(sid, lag) ?? '', () => {})
  }

  /** Removes what others have stored at its new home: it does not know of what was stored at the old one. */
  #removeAnew(sid: string, done: () => void): void {
    const { cluster, moves } = this.#options
    const moved = this.#keysOf(sid).filter(key => moves.hasMoved(key))
    const all = together(moved.length + 1, done)
    for (const key of moved) remove({ home: cluster.home(key), key }, all.end)
    all.end()
  }

  #destroyAnew(sid: string, revokedAt: string, done: () => void): void {
    const { moves } = this.#options
    if (this.#keysOf(sid).some(key => moves.hasMoved(key))) {
      this.#sessions.writeTombstone(sid, revokedAt, SessionRecord.UNKNOWN, done)
    } else {
      done()
    }
  }
}

/** Removes a session, but no tombstone. A server that does not answer has to be let go. */
function remove({ home, key }: Leftover, end: () => void): void {
  home.get(key, (_error, reply) => {
    if (reply?.status !== OK || (reply.flags & TOMBSTONE) !== 0) end()
    else home.delete(key, reply.version as CasToken | null, end)
  })
}

/** Waits for so many ends, and tells of the first. */
function together(
  count: number,
  done: RecordCallback | (() => void),
): { first: RecordCallback; end: () => void } {
  let open = count
  let result: Parameters<RecordCallback> = [null, null]
  const end = (): void => {
    if (--open === 0) done(...result)
  }
  const first: RecordCallback = (...args) => {
    result = args
    end()
  }
  return { first, end }
}
