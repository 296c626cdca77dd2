import type { Leaves } from './session.ts'

/** What a request knows of its session when it saves it. */
export interface Known {
  /** Which reading it goes back to, of all. */
  readonly reading: number
  /** When it began to read it, or made it. */
  readonly readAt: number
  /** What it read, or last saved with success. */
  readonly base: Leaves
  /** The number of the save that stored it; -1 where it was read. */
  readonly savedBy: number
  /** What it may have stored since: by saves that failed, or have not ended. */
  readonly maybe: readonly { readonly leaves: Leaves; readonly start: number; readonly number: number }[]
}

/** One call of the store, by express-session or by the application. Times are the world's. */
export interface Operation {
  /** Its place among all of the history. */
  readonly number: number
  readonly what: 'get' | 'set' | 'touch' | 'destroy' | 'update' | 'sign out' | 'sessions of' | 'close'
  /** The session's id; a user's name where the operation is about a user. */
  readonly sid: string
  readonly process: number
  /** Milliseconds that its process's clock was ahead of the world's as it began. */
  readonly skew: number
  readonly start: number
  /** Infinity while it has not ended. */
  end: number
  error: unknown
  /** How often its callback came. */
  calls: number
  /** What a `get` gave, null for no session; what a `set` is to store. */
  leaves: Leaves | null
  /** The counter, of what a `get` or an `update` gave. */
  count: number | undefined
  known: Known | undefined
  /** The cookie's date by the world's clock, of what a `get` gave, a `set` or a `touch`; null where it has none. */
  expires: number | null
  /** The one session that a sign-out leaves. */
  except: string | undefined
  /** What a listing gave. */
  listed: readonly string[] | undefined
}

export interface Conflict {
  readonly time: number
  readonly process: number
  readonly sid: string
  readonly outcome: string
}

/** `exclusive` has let a request not in. */
export interface Refusal {
  readonly sid: string
  /** From when on the request waited. */
  readonly start: number
  readonly end: number
  readonly error: unknown
}

/** What ran under a session's lock. */
export interface Section {
  readonly sid: string
  readonly process: number
  readonly enter: number
  leave: number
  /** When it was told that the lock was lost. */
  lostAt: number
}

/** A process has marked a server down, or up again. */
export interface ReachChange {
  readonly time: number
  readonly process: number
  readonly server: string
  readonly isUp: boolean
}

/** All that happened to those who use the store. */
export class History {
  readonly operations: Operation[] = []
  readonly conflicts: Conflict[] = []
  readonly sections: Section[] = []
  readonly refusals: Refusal[] = []
  /** When a process lost a connection with a request on it, whose outcome it does not know. */
  readonly doubts: { readonly time: number; readonly process: number }[] = []
  readonly away: ReachChange[] = []
  /** What was thrown where nobody catches. */
  readonly thrown: unknown[] = []
  readonly #now: () => number

  constructor(now: () => number) {
    this.#now = now
  }

  begin(what: Operation['what'], sid: string, process: number, skew = 0): Operation {
    const operation: Operation = {
      number: this.operations.length,
      what,
      sid,
      process,
      skew,
      start: this.#now(),
      end: Number.POSITIVE_INFINITY,
      error: undefined,
      calls: 0,
      leaves: null,
      count: undefined,
      known: undefined,
      expires: null,
      except: undefined,
      listed: undefined,
    }
    this.operations.push(operation)
    return operation
  }

  end(operation: Operation, error: unknown): void {
    operation.calls++
    if (operation.calls > 1) return
    operation.end = this.#now()
    operation.error = error ?? undefined
  }
}
