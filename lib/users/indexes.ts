import { ConnectionLostError, MemcachedStoreError } from '../errors.ts'
import { backOff } from '../pause.ts'
import type { Records, SideRecord } from '../storage/storage.ts'
import { EMPTY, formatIndex, parseIndex, type UserIndex } from './user-index.ts'

/** A user's index as it is stored. */
export interface StoredIndex {
  readonly index: UserIndex
  readonly record: SideRecord
}

/** What is to be changed of an index; gives what it got where nothing is. */
export type IndexChange = (index: UserIndex) => UserIndex

/** A change that waits for those before it. */
interface WaitingChange {
  readonly apply: IndexChange
  readonly resolve: (index: UserIndex) => void
  readonly reject: (error: unknown) => void
}

/** In one process changes of an index take turns, so this many lost races need many processes. */
const MAX_ATTEMPTS = 100
/** Milliseconds between two attempts, at most. */
const MAX_PAUSE = 50
/** For an index that is changed although its time is over by this process's clock. In milliseconds. */
const MIN_LIFE = 60_000

/** The users' indexes as they are stored, and their changes in this process. */
export class Indexes {
  readonly #records: Records
  /** Changes that wait for others of the same user's index. */
  readonly #waiting: Map<string, WaitingChange[]> = new Map()

  constructor(records: Records) {
    this.#records = records
  }

  /** How many entries the index is too large by. Half of what fits is left free, for logins that come before the next review. */
  surplus(index: UserIndex): number {
    const bytes = Buffer.byteLength(formatIndex(index))
    return Math.max(0, Math.ceil(index.entries.length * (1 - this.#records.maxBytes / 2 / bytes)))
  }

  /** What lists this user's sessions; null where nothing does. */
  async read(user: string): Promise<StoredIndex | null> {
    const record = await this.#records.read(user)
    return record === null ? null : { index: parseIndex(record.text), record }
  }

  /**
   * Changes an index, on the condition that nothing came in between. Changes that come while another is on
   * its way are made together after it: 50 logins of one user at once take as long as two.
   */
  change(user: string, apply: IndexChange): Promise<UserIndex> {
    return new Promise((resolve, reject) => {
      const change = { apply, resolve, reject }
      const waiting = this.#waiting.get(user)
      if (waiting === undefined) void this.#changeInTurn(user, [change])
      else waiting.push(change)
    })
  }

  /**
   * Puts an index in the place of one that was read: false where somebody else has changed that since. In turn
   * with all other changes in this process, which keeps them apart where memcached is away, too.
   */
  async replace(user: string, { index: read }: StoredIndex, index: UserIndex): Promise<boolean> {
    const before = formatIndex(read)
    let isUnchanged = false
    await this.change(user, found => {
      isUnchanged = formatIndex(found) === before
      return isUnchanged ? index : found
    })
    return isUnchanged
  }

  async #changeInTurn(user: string, first: WaitingChange[]): Promise<void> {
    for (let changes = first; changes.length > 0; changes = this.#waiting.get(user) ?? []) {
      this.#waiting.set(user, [])
      try {
        const index = await this.#changeTogether(user, changes)
        for (const { resolve } of changes) resolve(index)
      } catch (error) {
        for (const { reject } of changes) reject(error)
      }
    }
    this.#waiting.delete(user)
  }

  async #changeTogether(user: string, changes: readonly WaitingChange[]): Promise<UserIndex> {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      if (attempt > 0) await backOff(attempt, MAX_PAUSE)
      const stored = await this.read(user)
      const found = stored?.index ?? EMPTY
      const index = changes.reduce((changed, { apply }) => apply(changed), found)
      const isDone = index === found && stored?.record.isOutdated !== true
      if (isDone || (await this.#write(user, stored, index))) return index
    }
    throw new MemcachedStoreError('ERR_CONFLICT', 'Too many overlapping logins of one user: try again')
  }

  /** False where somebody else wrote in between, or where the reply was lost: read again, and decide again. */
  async #write(user: string, read: StoredIndex | null, index: UserIndex): Promise<boolean> {
    const text = formatIndex(index)
    if (Buffer.byteLength(text) > this.#records.maxBytes) {
      throw new MemcachedStoreError('ERR_TOO_LARGE', 'A user has more sessions than an item can list')
    }
    const life = Math.max(index.until - Date.now(), MIN_LIFE)
    try {
      const outcome = await this.#records.write(user, text, life, read?.record ?? null)
      return typeof outcome === 'object'
    } catch (error) {
      if (error instanceof ConnectionLostError) return false
      throw error
    }
  }
}
