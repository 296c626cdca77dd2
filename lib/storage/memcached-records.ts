import type { Cluster } from '../cluster/cluster.ts'
import type { Version as CasToken, Item } from '../memcached/node.ts'
import { NOT_FOUND, OK, type Reply } from '../memcached/reply.ts'
import { expiration } from './expiration.ts'
import { MAX_OVERHEAD } from './limits.ts'
import { noVersions } from './no-versions.ts'
import type { Version } from './record.ts'
import { Placed, Relocation } from './relocation.ts'
import { replied } from './replied.ts'
import type { DeletableRecords, DeleteOutcome, SideRecord, WriteOutcome } from './storage.ts'
import type { StoredForm } from './stored-form.ts'

/** Where a record lies. */
export interface Place {
  readonly key: string
  /** The key whose server it lies on. */
  readonly beside: string
  /** Other keys that it may lie under since before: see {@link Relocation}. Then each lies on the server of its own. */
  readonly others: readonly string[]
}

/** Records beside the sessions in memcached. */
export class MemcachedRecords implements DeletableRecords {
  readonly maxBytes: number
  readonly #cluster: Cluster
  readonly #form: StoredForm
  readonly #relocation: Relocation
  readonly #place: (name: string) => Place

  constructor(cluster: Cluster, form: StoredForm, maxItemSize: number, place: (name: string) => Place) {
    this.#cluster = cluster
    this.#form = form
    this.#relocation = new Relocation(cluster)
    this.#place = place
    this.maxBytes = maxItemSize - MAX_OVERHEAD
  }

  addressOf(name: string): string {
    return this.#cluster.home(this.#place(name).beside).address
  }

  async read(name: string): Promise<SideRecord | null> {
    const { key, beside, others } = this.#place(name)
    if (others.length > 0) return this.#find(key, others)
    const home = this.#cluster.home(beside)
    const reply = await replied(done => home.get(key, done))
    if (reply.status === NOT_FOUND) return null
    if (reply.version === null) throw noVersions(home.address)
    return this.#record(key, reply, reply.version, this.#form.isOutdated(reply))
  }

  async write(
    name: string,
    text: string,
    milliseconds: number,
    over: SideRecord | null,
  ): Promise<WriteOutcome> {
    const { key, beside } = this.#place(name)
    const make = (place: string, flags: number): Item | Promise<Item> =>
      this.#form.item(place, text, flags, expiration(milliseconds))
    const version = over === null ? null : await this.#versionOf(name, over)
    if (version === 'changed' || version === 'missing') return version
    if (version instanceof Placed) {
      const { reply, placed } = await this.#relocation.write(key, version, make)
      return outcome(text, reply, placed)
    }
    const item = await make(key, 0)
    const mode = over === null ? 'add' : 'replace'
    const home = this.#cluster.home(beside)
    const reply = await replied(done => home.write(mode, item, version as CasToken | null, done))
    return outcome(text, reply, reply.version)
  }

  async delete(name: string, over: SideRecord): Promise<DeleteOutcome> {
    const { key, beside } = this.#place(name)
    const version = await this.#versionOf(name, over)
    if (version === 'changed' || version === 'missing') return version
    const home = this.#cluster.home(beside)
    const reply = await replied(done => home.delete(key, version as CasToken | null, done))
    return reply.status === OK ? 'deleted' : refusal(reply)
  }

  /** To write on the condition that this is still there. Over the text protocol a write tells no version: looks, then. */
  async #versionOf(name: string, { text, version }: SideRecord): Promise<Version | 'changed' | 'missing'> {
    if (version !== null) return version
    const stored = await this.read(name)
    if (stored === null) return 'missing'
    return stored.text === text && stored.version !== null ? stored.version : 'changed'
  }

  async #find(key: string, others: readonly string[]): Promise<SideRecord | null> {
    const found = await this.#relocation.find(key, others)
    if (found === null) return null
    const isOutdated = found.key !== key || this.#form.isOutdated(found.reply)
    return this.#record(found.key, found.reply, Placed.of(found.key, found.reply), isOutdated)
  }

  /** What is none of ours holds nothing, and may be written over. */
  async #record(key: string, reply: Reply, version: Version, isOutdated: boolean): Promise<SideRecord> {
    return { text: (await this.#form.text(key, reply)) ?? '', version, isOutdated }
  }
}

function outcome(text: string, reply: Reply, version: Version | null): WriteOutcome {
  if (reply.status !== OK) return refusal(reply)
  return { text, version: reply.version === null ? null : version, isOutdated: false }
}

function refusal({ status }: Reply): 'changed' | 'missing' {
  return status === NOT_FOUND ? 'missing' : 'changed'
}
