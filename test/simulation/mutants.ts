/** One place of the store, and what is put there. */
type Mutation = readonly [file: string, from: string, to: string]

/** The store with one of its rules taken out. */
export interface Mutant {
  /** What it does. */
  readonly name: string
  /** Is it shown with a durable store behind? */
  readonly isBacked: boolean
  readonly mutations: readonly Mutation[]
  /** The first seed to try: one that shows it, where others seldom do. */
  readonly seed?: number
}

const EDIT = 'operations/edit.ts'
const QUEUE = 'operations/changes/queue.ts'
const BACKED = 'backing/backed.ts'

/** For `npm run simulate:mutants`, which shows that the simulation would notice. */
export const MUTANTS: readonly Mutant[] = [
  plain('writes what its request wants over what others wrote', [
    EDIT,
    'const data = mergeFrom(bases, mine, theirs) as SessionData',
    'const data = mine',
  ]),
  at(
    56_937,
    plain('merges from what was read alone, though an earlier save may be stored', [
      EDIT,
      '[revision.text, ...this.#tried().map(({ text }) => text)]',
      '[revision.text]',
    ]),
  ),
  plain('forgets what a failed save may have stored', [
    EDIT,
    'revision.attempts = [...revision.attempts, this.#attempt(revision, sent)].slice(-MAX_ATTEMPTS)',
    '',
  ]),
  at(
    6_000_018_217,
    plain('forgets what the save of a session wanted that was over', [
      EDIT,
      'if (outcome === undefined) this.#remember(textOf(content))',
      'if (outcome === undefined) {}',
    ]),
  ),
  plain('takes a write whose reply was lost for carried out', [
    QUEUE,
    'const isDone = known.isLike(draft)',
    'const isDone = true',
  ]),
  plain('takes a write whose reply was lost for not carried out', [
    QUEUE,
    'const isUndone = known.isLike(over)',
    'const isUndone = true',
  ]),
  plain('gives a read a second deadline, once it has waited', [
    QUEUE,
    'if (reader.deadline > this.#ticks) continue',
    'continue',
  ]),
  plain('runs an update once more, though it may have been stored', [
    'operations/update.ts',
    'readonly isOnce = true',
    'readonly isOnce = false',
  ]),
  plain('saves over a tombstone', [
    EDIT,
    'return this.#afterLogout(current)',
    'return this.#wish.content === null ? NOTHING : this.#store(false)',
  ]),
  plain('writes a missing session again, whenever it was read', [
    EDIT,
    "if (!isNew && !this.#context.sessions.remembers(seenAt)) return { draft: null, outcome: 'destroyed' }",
    '',
  ]),
  plain('keeps its tombstones for a second', [
    'storage/memcached-sessions.ts',
    'expiration(this.#tombstone + this.patience)',
    'expiration(0)',
  ]),
  plain('destroys a session whose date has passed', [
    'operations/ended.ts',
    'if (revision === undefined) return true',
    'return true',
  ]),
  plain('leaves out a touch where somebody has written', [
    EDIT,
    'if (this.#cookie !== undefined) return',
    'if (this.#cookie !== undefined && current !== this.#revision?.record) return NOTHING\n' +
      'if (this.#cookie !== undefined) return',
  ]),
  plain('does not store a life that was made shorter', [
    EDIT,
    'const isSame = !lifeChanged(theirs.cookie, merged) && ',
    'const isSame = ',
  ]),
  plain('stores the cookie of who saves last', [
    EDIT,
    'next.cookie = isMerged ? merged : ',
    'next.cookie = true ? cookie : ',
  ]),
  plain('takes the date of who saves last', [
    'session/cookie.ts',
    'return dateOf(theirs) > dateOf(mine) ? theirs : mine',
    'return mine',
  ]),
  plain('moves a date back where its clock is behind', [
    EDIT,
    'if (lifetime.expires === undefined || !(expires > lifetime.expires)) return false',
    'return false',
  ]),
  plain('lets a longer life end before a date that was promised', [
    'session/cookie.ts',
    'return isLonger && isEarlier && isRefreshed ? { originalMaxAge, expires: promised.expires } : life',
    'return life',
  ]),
  plain('judges a date by when the answer came', [
    'session/expiry.ts',
    'askedAt === undefined ? 0 : Math.floor(performance.now() - askedAt)',
    '0',
  ]),
  at(
    40_000_089_949,
    plain('takes a session for over that has ended while the answer was on its way', [
      QUEUE,
      '(known !== seen || !this.#isPast(known, seenAt))',
      'known !== seen',
    ]),
  ),
  plain('writes on what was read, though it may have been renewed since', [
    EDIT,
    'return this.#isOver(revision, lifetime) ? null : revision.record',
    'return revision.record',
  ]),
  plain('lists a login after it is written', [
    'operations/changes/settle.ts',
    'if (user === undefined || isListed) return false',
    'return false',
  ]),
  plain('lets a login be that was listed before everybody was signed out', [
    EDIT,
    'this.#listedAt !== 0 && Number(text) >= this.#listedAt',
    'false',
  ]),
  plain('does not keep the index of a user', [
    'users/users.ts',
    'if (user === undefined) return\n    const end',
    'if (user !== null) return\n    const end',
  ]),
  plain('lists a session as its user’s that has become somebody else’s', [
    'users/review.ts',
    'return session !== undefined && this.#isUsers(session)',
    'return session !== undefined',
  ]),
  plain('takes no lock', ['locks/locks.ts', '!(await held.take())', 'false']),

  backed('does not look at memcached again', [BACKED, 'next = await this.#next(sid, record)', 'next = null']),
  backed('puts what it has asked for over what was written meanwhile', [
    BACKED,
    'isDone(await this.#putOver(sid, text, milliseconds, lease))',
    'isDone(await this.#putOver(sid, text, milliseconds, SessionRecord.UNKNOWN))',
  ]),
  at(
    79_895,
    backed('leaves a lease to who asked too early', [
      BACKED,
      'if ((await this.#endLease(sid, record, seen)) !== null) return null',
      'return null',
    ]),
  ),
  at(
    20_000_003_283,
    backed('stores once more what it has written, where somebody else has ended a lease', [
      BACKED,
      'if ((await this.#endLease(sid, record, seen)) !== null) return null',
      'return (await this.#endLease(sid, record, seen)) === null ? record : null',
    ]),
  ),
  backed('does not bury again what was destroyed', [
    BACKED,
    "return record.kind === 'destroyed' ? ((await this.#bury(sid, record.text, seen)) ?? record) : seen",
    'return seen',
  ]),
  backed('takes a session for written that memcached lost in between', [
    BACKED,
    'if (!isOfLine(first, record)) throw this.#lost()',
    '',
  ]),
  backed('destroys in memcached alone', [
    BACKED,
    "else if (kind === 'destroyed') await this.#shelf.destroy(sid, onLate)",
    '',
  ]),
  backed('does not renew what is stored', [
    'backing/session-shelf.ts',
    'await this.#store.touch(sid, kept, onLate)',
    'return',
  ]),
  backed('writes again what is in neither', [
    BACKED,
    'remembers(): boolean {\n    return false',
    'remembers(): boolean {\n    return true',
  ]),
  backed('leaves a write whose reply was lost to itself', [
    BACKED,
    'if (error instanceof ConnectionLostError) await this.#sortOut(sid)',
    '',
  ]),
  at(
    100_000_916_655,
    backed('leaves a write to itself whose look was lost, too', [
      BACKED,
      'if (!(error instanceof ConnectionLostError)) return',
      'return',
    ]),
  ),
  backed('forgets what it owes', ['backing/debts.ts', 'this.#debts.set(id, debt)', '']),
  at(
    310_000_042_296,
    backed('makes up for something by what a server has that was away', [
      BACKED,
      'if (this.#isGood(sid, seen)) await this.#store(sid, seen)',
      'if (seen !== null) await this.#store(sid, seen)',
    ]),
  ),
  backed(
    'goes by what a server has that was away',
    ['backing/debts.ts', "return debt !== undefined && debt.kind !== 'behind'", 'return false'],
    [
      BACKED,
      'return !this.#suspicion.isEmpty && this.#suspicion.falls(this.#front.addressOf(sid))',
      'return false',
    ],
  ),
  at(
    90_000_012_411,
    backed('is out of debt for what it is still storing', [
      BACKED,
      '} finally {\n      // Memcached may be back by now, and have been brought what was there before.\n' +
        "      this.#debts.owe(sid, { kind: 'changed' })",
      '} finally {',
    ]),
  ),
  backed('takes a call that ends late for never carried out', [
    BACKED,
    "const onLate = (): void => this.#debts.owe(sid, { kind: 'behind' })",
    'const onLate = (): void => {}',
  ]),
  backed('overtakes itself while it makes up for something', [
    BACKED,
    'await this.#debts.paid(sid)\n      return await both()',
    'return await both()',
  ]),
  backed('fails a read that has waited, though the backing store could tell', [
    BACKED,
    'readonly readPatience: number = Infinity',
    'readonly readPatience: number = 500',
  ]),
  backed('trusts a server that was away', [
    BACKED,
    'return !this.#suspicion.isEmpty && this.#suspicion.falls(this.#front.addressOf(sid))',
    'return false',
  ]),
  at(
    100_000_503_707,
    backed('does not notice an outage that a lock meets', [
      'backing/watched-records.ts',
      'this.#suspicion.note(this.#front.addressOf(name), error)',
      '',
    ]),
  ),
  backed('takes what a server has that was away for the same as what the backing store has', [
    BACKED,
    'return isOwed ? stored.text === record.text : this.#shelf.isUpToDate(record.text, stored.text)',
    'return true',
  ]),
  at(
    110_000_186_289,
    backed('promises a date that memcached may have alone', [
      BACKED,
      "this.#debts.owe(sid, { kind: 'behind' })\n      return null",
      'return null',
    ]),
  ),
  at(
    110_000_404_193,
    backed('takes what a login that was signed out saves again for another one', [
      EDIT,
      'else this.#noteEnd(record, seenAt)',
      '',
    ]),
  ),
  at(
    110_000_026_999,
    backed('forgets an index before a session that its date is late for', [
      'users/users.ts',
      'Math.max(left, 0) * lives',
      'left * lives',
    ]),
  ),
  at(
    180_000_154_623,
    backed('takes a life that it gave once for given again, whatever was asked for since', [
      EDIT,
      'revision.attempts = this.#leftAfterTouch(revision)',
      '{}',
    ]),
  ),
  backed('refuses a request on account of its own failed save', [
    EDIT,
    'return sent === stored || this.#context.codec.isRefresh(sent, stored)',
    'return sent === stored',
  ]),
]

/** A mutant that few histories show. */
function at(seed: number, mutant: Mutant): Mutant {
  return { ...mutant, seed }
}

function plain(name: string, ...mutations: Mutation[]): Mutant {
  return { name, isBacked: false, mutations }
}

function backed(name: string, ...mutations: Mutation[]): Mutant {
  return { name, isBacked: true, mutations }
}
