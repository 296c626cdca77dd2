import type { Item, WriteMode } from '../../lib/memcached/node.ts'
import { EXISTS, NOT_FOUND, OK } from '../../lib/memcached/reply.ts'
import type { Random } from './random.ts'
import type { Clock, VirtualTime } from './virtual-time.ts'

/** What is asked of a server. `cas` 0 is no condition. */
export type Command =
  | { readonly what: 'get'; readonly key: string }
  | { readonly what: WriteMode; readonly key: string; readonly item: Item; readonly cas: number }
  | { readonly what: 'delete'; readonly key: string; readonly cas: number }
  | { readonly what: 'touch'; readonly key: string; readonly expiration: number }

export interface Answer {
  readonly status: number
  readonly flags: number
  readonly cas: number
  readonly value: Buffer
}

interface Stored {
  value: Buffer
  flags: number
  cas: number
  /** In milliseconds of the world's clock; it is gone from then on. */
  until: number
}

/** Something that happened to an item: what a history is judged by. */
export interface Change {
  readonly time: number
  readonly kind: 'written' | 'touched' | 'deleted' | 'evicted' | 'lost'
  readonly mode: WriteMode | null
  readonly isConditional: boolean
  readonly value: Buffer
  readonly flags: number
  readonly until: number
}

/** One end of a connection, as the server sees it. */
export interface Link {
  /** Has the server ended it? Nothing that is on its way is carried out, or answered. */
  isCut: boolean
  onCut: () => void
}

/** How the next request is to be spoilt. */
export type Trap = { readonly when: 'before' | 'after'; readonly what: 'write' | 'any' }

const MONTH = 60 * 60 * 24 * 30
const EMPTY = Buffer.alloc(0)
/** Nobody's: what a server does is not done by a process. */
export const NOBODY: Clock = { skew: 0 }

/**
 * A simulated memcached: its items, its clock of whole seconds that ticks at a moment of its own, and the ways
 * in which it fails. What it has received is carried out, also where nobody waits for it any more.
 */
export class SimulatedServer {
  readonly name: string
  /** Of each key, all that happened to it. */
  readonly changes: Map<string, Change[]> = new Map()
  /** Can it be connected to? */
  isUp = true
  trap: Trap | null = null
  readonly #time: VirtualTime
  readonly #random: Random
  /** Milliseconds after a full second at which its clock ticks. */
  readonly #phase: number
  #items: Map<string, Stored> = new Map()
  #cas = 0
  #isFrozen = false
  /** Of each connection, what waits in its socket. */
  #waiting: Map<Link, (() => void)[]> = new Map()
  readonly #links: Set<Link> = new Set()

  constructor(name: string, time: VirtualTime, random: Random) {
    this.name = name
    this.#time = time
    this.#random = random
    this.#phase = random.whole(0, 999)
  }

  get isFrozen(): boolean {
    return this.#isFrozen
  }

  get keys(): string[] {
    return [...this.#items.keys()]
  }

  connect(link: Link): void {
    this.#links.add(link)
  }

  /** Bytes have come in. They are carried out in their order, now or when it thaws. */
  receive(link: Link, command: Command, reply: (answer: Answer) => void): void {
    if (link.isCut) return
    if (this.#isFrozen) {
      const waiting = this.#waiting.get(link)
      const carryOut = (): void => this.#serve(link, command, reply)
      if (waiting === undefined) this.#waiting.set(link, [carryOut])
      else waiting.push(carryOut)
      return
    }
    this.#serve(link, command, reply)
  }

  #serve(link: Link, command: Command, reply: (answer: Answer) => void): void {
    if (link.isCut) return
    const { trap } = this
    const isHit = trap !== null && (trap.what === 'any' || command.what !== 'get')
    if (!isHit) {
      reply(this.execute(command))
      return
    }
    this.trap = null
    if (trap.when === 'after') this.execute(command)
    this.#cut(link)
  }

  /** Carries a command out, as memcached does. */
  execute(command: Command): Answer {
    const { key } = command
    const found = this.#find(key)
    if (command.what === 'get') return found === undefined ? answer(NOT_FOUND) : answer(OK, found)
    if (command.what === 'touch') {
      if (found === undefined) return answer(NOT_FOUND)
      found.until = this.#expiresAt(command.expiration)
      this.#note(key, 'touched', found)
      return answer(OK, found)
    }
    if (command.what === 'delete') {
      if (found === undefined) return answer(NOT_FOUND)
      if (command.cas !== 0 && command.cas !== found.cas) return answer(EXISTS)
      this.#remove(key, 'deleted')
      return answer(OK)
    }
    if (command.cas !== 0) {
      if (found === undefined) return answer(NOT_FOUND)
      if (found.cas !== command.cas) return answer(EXISTS)
    }
    if (command.what === 'add' && found !== undefined) return answer(EXISTS)
    if (command.what === 'replace' && found === undefined) return answer(NOT_FOUND)
    const { value, flags, expiration } = command.item
    const stored: Stored = {
      value: typeof value === 'string' ? Buffer.from(value) : Buffer.from(value),
      flags,
      cas: ++this.#cas,
      until: this.#expiresAt(expiration),
    }
    this.#items.set(key, stored)
    this.#note(key, 'written', stored, command.what, command.cas !== 0)
    return { status: OK, flags: 0, cas: stored.cas, value: EMPTY }
  }

  /** Throws one item away, as memcached does that has no room. */
  evict(key: string): void {
    if (this.#find(key) !== undefined) this.#remove(key, 'evicted')
  }

  /** Stops answering. Connections stay, and new ones are taken. */
  freeze(): void {
    this.#isFrozen = true
  }

  /** Goes on: what lies in the sockets is read, one connection after the other. */
  thaw(): void {
    if (!this.#isFrozen) return
    this.#isFrozen = false
    const queues = [...this.#waiting.values()]
    this.#waiting = new Map()
    while (queues.length > 0) {
      const [queue] = queues.splice(this.#random.whole(0, queues.length - 1), 1)
      for (const carryOut of queue as (() => void)[]) carryOut()
    }
  }

  /** Ends, and every connection with it. @param isWarm - will it keep what it has (`-e`)? */
  stop(isWarm: boolean): void {
    this.isUp = false
    this.#isFrozen = false
    this.#waiting = new Map()
    for (const link of this.#links) this.#cut(link)
    if (isWarm) return
    for (const key of this.keys) if (this.#find(key) !== undefined) this.#remove(key, 'lost')
    this.#cas = 0
  }

  start(): void {
    this.isUp = true
  }

  #cut(link: Link): void {
    if (link.isCut) return
    link.isCut = true
    this.#links.delete(link)
    link.onCut()
  }

  #find(key: string): Stored | undefined {
    const found = this.#items.get(key)
    if (found === undefined || this.#time.now < found.until) return found
    this.#items.delete(key)
    return undefined
  }

  #remove(key: string, kind: Change['kind']): void {
    this.#note(key, kind, this.#items.get(key) as Stored)
    this.#items.delete(key)
  }

  /** The clock lags: what is set for 2 lives for 1 to 2 seconds. */
  #expiresAt(expiration: number): number {
    if (expiration === 0) return Number.POSITIVE_INFINITY
    const tick = Math.floor((this.#time.now - this.#phase) / 1000)
    return (expiration <= MONTH ? tick + expiration : expiration) * 1000 + this.#phase
  }

  #note(
    key: string,
    kind: Change['kind'],
    { value, flags, until }: Stored,
    mode: WriteMode | null = null,
    isConditional = false,
  ): void {
    const change: Change = { time: this.#time.now, kind, mode, isConditional, value, flags, until }
    const changes = this.changes.get(key)
    if (changes === undefined) this.changes.set(key, [change])
    else changes.push(change)
  }
}

function answer(status: number, stored?: Stored): Answer {
  if (stored === undefined) return { status, flags: 0, cas: 0, value: EMPTY }
  return { status, flags: stored.flags, cas: stored.cas, value: stored.value }
}
