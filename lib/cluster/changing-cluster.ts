import { isDeepStrictEqual } from 'node:util'
import type { ServerAddress } from '../memcached/address.ts'
import type { MemcachedNode } from '../memcached/node.ts'
import { Anteroom } from './anteroom.ts'
import type { Cluster, Home, Moves } from './cluster.ts'
import { FixedCluster } from './fixed-cluster.ts'
import { Leaver } from './leaver.ts'
import { Ring } from './ring.ts'
import { ServerList } from './server-list.ts'

/** So many former lists are remembered. */
const MAX_LISTS = 8
const NOWHERE: readonly Home[] = []

export interface ChangingClusterOptions {
  /** Asks for the servers. */
  readonly find: () => Promise<readonly ServerAddress[]>
  /** Milliseconds after which they are asked for again. */
  readonly refresh: number
  /** Milliseconds of one operation. */
  readonly timeout: number
  /** @param onChange - told when the server has become unreachable (false), and when it is back. */
  readonly connect: (address: ServerAddress, onChange: (isUp: boolean) => void) => MemcachedNode
  /** Told when all servers have become unreachable (false), and when one is back, or a new one has come. */
  readonly onReachable: (isReachable: boolean) => void
  /** Told of each change of the list. */
  readonly onChange: (names: readonly string[], before: readonly string[]) => void
}

/** A server of the list. */
interface Member {
  readonly address: ServerAddress
  readonly node: MemcachedNode
  /** Undefined while nobody has tried. */
  isUp: boolean | undefined
}

/** A list that is in force, or was. */
interface Placement {
  readonly names: readonly string[]
  /** The same for the same names in another order. */
  readonly id: string
  readonly ring: Ring
}

/** Servers that come and go, as a function tells. One that stays keeps its connection and its state. */
export class ChangingCluster implements Cluster, Moves {
  readonly moves: Moves = this
  readonly #options: ChangingClusterOptions
  readonly #list: ServerList
  readonly #anteroom: Anteroom
  #current: FixedCluster | null = null
  #placement: Placement | null = null
  /** By name, in the order of the list. */
  #members: ReadonlyMap<string, Member> = new Map()
  #isReachable: boolean | undefined
  /** Former lists, the last one first. */
  #past: readonly Placement[] = []
  /** Those that answered when they left, by name. */
  readonly #leavers: Map<string, Leaver> = new Map()
  /** All that may have a connection. */
  readonly #leaving: Set<Leaver> = new Set()
  readonly #listeners: (() => void)[] = []
  count: number = 0
  lastAt: number = -Infinity

  constructor(options: ChangingClusterOptions) {
    const { find, refresh, timeout } = options
    this.#options = options
    this.#anteroom = new Anteroom(timeout)
    this.#list = new ServerList({
      find,
      refresh,
      take: servers => this.#take(servers),
      onFailure: error => {
        if (this.#current === null) this.#anteroom.fail(error)
      },
    })
    this.#list.start()
  }

  home(key: string): Home {
    return this.#current === null ? this.#anteroom.home(key) : this.#current.home(key)
  }

  async now(): Promise<FixedCluster> {
    if (this.#current === null) await this.#anteroom.known()
    return this.#current as FixedCluster
  }

  async close(): Promise<void> {
    this.#list.stop()
    this.#anteroom.close()
    await Promise.all([this.#current, ...this.#leaving].map(one => one?.close()))
  }

  formerHomes(key: string): readonly Home[] {
    if (this.#past.length === 0) return NOWHERE
    const homes = new Set<Home>()
    for (const placement of this.#past) {
      const name = homeIn(placement, key)
      const home = this.#members.get(name)?.node ?? this.#leavers.get(name)?.node
      if (home !== undefined) homes.add(home)
    }
    homes.delete(this.home(key))
    return [...homes]
  }

  hasMoved(key: string): boolean {
    const [before] = this.#past
    return before !== undefined && homeIn(before, key) !== homeIn(this.#placement as Placement, key)
  }

  listen(listener: () => void): void {
    this.#listeners.push(listener)
  }

  /** @throws what speaks against this list; then nothing has changed. */
  #take(addresses: readonly ServerAddress[]): void {
    const names = addresses.map(({ name }) => name)
    const before = this.#placement
    const placement = isDeepStrictEqual(before?.names, names) ? (before as Placement) : placementOf(names)
    const leaving = new Map(this.#members)
    const members = new Map<string, Member>()
    for (const address of addresses) {
      const member = leaving.get(address.name)
      const stays = member !== undefined && isDeepStrictEqual(member.address, address)
      if (stays) leaving.delete(address.name)
      members.set(address.name, stays ? member : this.#connect(address))
    }
    this.#members = members
    this.#placement = placement
    this.#current = new FixedCluster(
      [...members.values()].map(({ node }) => node),
      placement.ring,
    )
    for (const member of leaving.values()) this.#leave(member)
    if (before === null) this.#anteroom.open(key => this.home(key))
    else if (before.id !== placement.id) this.#tell(before, placement)
    this.#tidy()
    this.#noteReach()
  }

  #tell(before: Placement, placement: Placement): void {
    const others = this.#past.filter(({ id }) => id !== before.id && id !== placement.id)
    this.#past = [before, ...others].slice(0, MAX_LISTS)
    this.count++
    this.lastAt = performance.now()
    for (const listener of this.#listeners) listener()
    this.#options.onChange(placement.names, before.names)
  }

  #connect(address: ServerAddress): Member {
    const node = this.#options.connect(address, isUp => {
      member.isUp = isUp
      if (this.#members.get(address.name) === member) this.#noteReach()
      else if (!isUp) this.#forget(address.name, node)
    })
    const member: Member = { address, node, isUp: undefined }
    return member
  }

  #leave({ address, node, isUp }: Member): void {
    const { connect, timeout } = this.#options
    const open = (): MemcachedNode => {
      const opened = connect(address, isUp => {
        if (!isUp) this.#forget(address.name, opened)
      })
      return opened
    }
    // A request may take a little longer than its timeout: see `clock.ts`.
    const leaver = new Leaver(node, open, 2 * timeout + 100)
    this.#leaving.add(leaver)
    // One that has only got another password is still there.
    if (isUp === true && !this.#members.has(address.name)) this.#leavers.set(address.name, leaver)
  }

  /** One that has left does not answer any more: it is of no further interest. */
  #forget(name: string, node: MemcachedNode): void {
    const leaver = this.#leavers.get(name)
    if (leaver?.isConnectedBy(node) !== true) return
    this.#leavers.delete(name)
    void leaver.close()
  }

  /** Keeps no server in mind that nothing is to be removed from any more. */
  #tidy(): void {
    for (const name of this.#leavers.keys()) {
      const isPast = this.#past.some(({ names }) => names.includes(name))
      if (!isPast || this.#members.has(name)) this.#leavers.delete(name)
    }
    const wanted = new Set(this.#leavers.values())
    for (const leaver of this.#leaving) {
      if (!leaver.hasConnection && !wanted.has(leaver)) this.#leaving.delete(leaver)
    }
  }

  #noteReach(): void {
    const states = [...this.#members.values()].map(({ isUp }) => isUp)
    const isAway = states.every(isUp => isUp === false)
    if (isAway) this.#list.hurry()
    else this.#list.calm()
    // Where all were away, a new one is reason enough to try again: nobody else would.
    if (isAway) this.#note(false)
    else if (states.includes(true) || this.#isReachable === false) this.#note(true)
  }

  #note(isReachable: boolean): void {
    if (isReachable === this.#isReachable) return
    this.#isReachable = isReachable
    this.#options.onReachable(isReachable)
  }
}

function homeIn({ names, ring }: Placement, key: string): string {
  return names[ring.home(key)] as string
}

function placementOf(names: readonly string[]): Placement {
  return { names, id: [...names].sort().join(), ring: new Ring(names) }
}
