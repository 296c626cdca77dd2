import { type SessionData, Store } from 'express-session'
import type { Setting } from './plan.ts'
import type { Random } from './random.ts'
import { NOBODY } from './server.ts'
import type { Clock, VirtualTime } from './virtual-time.ts'

type Callback = (error?: unknown, found?: SessionData | null) => void

/** Something that happened to a row. */
export interface RowChange {
  readonly time: number
  readonly what: 'set' | 'touch' | 'destroy'
  /** Of whose call. */
  readonly process: number
  /** When that was made. */
  readonly asked: number
  /** When its caller heard of it; Infinity until then. */
  answered: number
  readonly text: string
  /** The date in the cookie it was given; Infinity where that has none. */
  readonly date: number
  /** From when on it is not there any more. */
  readonly until: number
}

interface Row {
  text: string
  until: number
}

/** How the next calls are to be spoilt. */
export interface Spoiling {
  readonly when: 'before' | 'after'
  calls: number
}

/**
 * A simulated database: rows with an end, no versions. Calls come over many connections, so that they may
 * overtake each other; it may be down, hang, or fail before or after it has carried out what was asked.
 */
export class SimulatedDatabase {
  readonly changes: Map<string, RowChange[]> = new Map()
  /** Spans of time in which it was not well. */
  readonly troubles: { from: number; to: number }[] = []
  spoiling: Spoiling | null = null
  /** Called once, while the next change is on its way. */
  onChange: (() => void) | null = null
  isUp = true
  readonly #time: VirtualTime
  readonly #random: Random
  readonly #latency: number
  readonly #rows: Map<string, Row> = new Map()
  /** Its restarts so far: what was under way at one ends with an error. */
  #life = 0
  #hangsUntil = 0
  readonly #tell: (clock: Clock, text: string) => void

  constructor(
    time: VirtualTime,
    random: Random,
    { backing }: Setting,
    tell: (clock: Clock, text: string) => void,
  ) {
    this.#time = time
    this.#random = random
    this.#latency = backing?.latency ?? 1
    this.#tell = tell
  }

  hang(lasts: number): void {
    this.#hangsUntil = this.#time.now + lasts
    this.trouble(lasts)
  }

  stop(lasts: number): void {
    this.isUp = false
    this.#life++
    this.trouble(lasts)
    this.#time.after(lasts, NOBODY, () => {
      this.isUp = true
    })
  }

  trouble(lasts: number): void {
    this.troubles.push({ from: this.#time.now - 1000, to: this.#time.now + lasts + 20 * this.#latency })
  }

  /** One call, as a process sees it. */
  call(clock: Clock, text: string, carryOut: () => SessionData | null, done: Callback): void {
    const life = this.#life
    this.#tell(clock, `-> database  ${text}`)
    const answer = (error: unknown, found: SessionData | null): void => {
      this.#time.after(this.#delay(), clock, () => {
        const failure = life === this.#life ? error : new Error('The connection to the database broke')
        this.#tell(clock, `<- database  ${failure ?? (found === null ? 'ok' : JSON.stringify(found))}`)
        done(failure, failure == null ? found : undefined)
      })
    }
    const arrive = (): void => {
      if (this.#time.now < this.#hangsUntil) {
        this.#time.at(this.#hangsUntil + this.#delay(), NOBODY, arrive)
        return
      }
      if (!this.isUp || life !== this.#life) {
        answer(new Error('The database is away'), null)
        return
      }
      const spoilt = this.#spoil()
      const found = spoilt === 'before' ? null : carryOut()
      answer(spoilt === null ? null : new Error('The database failed'), found)
    }
    this.#time.after(this.#delay(), NOBODY, arrive)
  }

  /** A change has left for it. */
  expectChange(): void {
    const { onChange } = this
    if (onChange === null) return
    this.onChange = null
    this.#time.after(this.#delay() / 2, NOBODY, onChange)
  }

  find(sid: string): SessionData | null {
    const row = this.#rows.get(sid)
    return row === undefined || row.until <= this.#time.now ? null : JSON.parse(row.text)
  }

  /** `touch` leaves what is stored as it was, as connect-pg-simple and connect-redis do. */
  change(
    what: RowChange['what'],
    process: number,
    asked: number,
    sid: string,
    text: string,
    until: number,
  ): RowChange {
    const row = this.#rows.get(sid)
    if (what === 'destroy') this.#rows.delete(sid)
    else if (what === 'set') this.#rows.set(sid, { text, until })
    else if (row !== undefined && row.until > this.#time.now) row.until = until
    const date = what === 'destroy' ? undefined : (JSON.parse(text) as SessionData).cookie.expires
    const change = {
      time: this.#time.now,
      what,
      process,
      asked,
      answered: Number.POSITIVE_INFINITY,
      text,
      date: date == null ? Number.POSITIVE_INFINITY : Date.parse(String(date)),
      until,
    }
    const changes = this.changes.get(sid)
    if (changes === undefined) this.changes.set(sid, [change])
    else changes.push(change)
    return change
  }

  #spoil(): Spoiling['when'] | null {
    const { spoiling } = this
    if (spoiling === null) return null
    if (--spoiling.calls <= 0) this.spoiling = null
    return spoiling.when
  }

  #delay(): number {
    const usual = this.#latency * (0.3 + 1.4 * this.#random.next())
    return this.#random.chance(0.05) ? usual * 20 : usual
  }
}

/** The database as the session store of one process. */
export class SimulatedBacking extends Store {
  readonly #database: SimulatedDatabase
  readonly #time: VirtualTime
  readonly #clock: Clock
  readonly #process: number

  constructor(database: SimulatedDatabase, time: VirtualTime, clock: Clock, process: number) {
    super()
    this.#database = database
    this.#time = time
    this.#clock = clock
    this.#process = process
  }

  override get(sid: string, done: Callback): void {
    this.#database.call(this.#clock, `get ${sid}`, () => this.#database.find(sid), done)
  }

  override set(sid: string, session: SessionData, done: Callback): void {
    this.#change('set', sid, session, done)
  }

  override touch(sid: string, session: SessionData, done: Callback): void {
    this.#change('touch', sid, session, done)
  }

  override destroy(sid: string, done: Callback): void {
    this.#change('destroy', sid, null, done)
  }

  #change(what: RowChange['what'], sid: string, session: SessionData | null, done: Callback): void {
    const text = session === null ? '' : JSON.stringify(session)
    const until = session === null ? 0 : Number(session.cookie.expires)
    const asked = this.#time.now
    let change: RowChange | undefined
    this.#database.expectChange()
    this.#database.call(
      this.#clock,
      `${what} ${sid} ${text}`,
      () => {
        change = this.#database.change(what, this.#process, asked, sid, text, until)
        return null
      },
      (error, found) => {
        if (change !== undefined) change.answered = this.#time.now
        done(error, found)
      },
    )
  }
}
