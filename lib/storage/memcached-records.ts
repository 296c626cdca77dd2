import type { Cluster } from '../cluster/cluster.ts'
import type { Version as CasToken, ReplyCallback } from '../memcached/node.ts'
import { NOT_FOUND, OK, type Reply } from '../memcached/reply.ts'
import { expiration } from './expiration.ts'
import { MAX_OVERHEAD } from './limits.ts'
import type { DeleteOutcome, Records, SideRecord, WriteOutcome } from './storage.ts'
import type { StoredForm } from './stored-form.ts'

/** Where a record lies, and beside what: two keys that are the same need not be told apart. */
export interface Place {
  readonly key: string
  /** The key whose server it lies on. */
  readonly beside: string
}

/** Records beside the sessions in memcached. */
export class MemcachedRecords implements Records {
  readonly maxBytes: number
  readonly #cluster: Cluster
  readonly #form: StoredForm
  readonly #place: (name: string) => Place

  constructor(cluster: Cluster, form: StoredForm, maxItemSize: number, place: (name: string) => Place) {
    this.#cluster = cluster
    this.#form = form
    this.#place = place
    this.maxBytes = maxItemSize - MAX_OVERHEAD
  }

  async read(name: string): Promise<SideRecord | null> {
    const { key, beside } = this.#place(name)
    const reply = await replied(done => this.#cluster.home(beside).get(key, done))
    if (reply.status === NOT_FOUND) return null
    // What is none of ours holds nothing, and may be written over.
    return { text: (await this.#form.text(key, reply)) ?? '', version: reply.version }
  }

  async write(
    name: string,
    text: string,
    milliseconds: number,
    over: SideRecord | null,
  ): Promise<WriteOutcome> {
    const { key, beside } = this.#place(name)
    const item = await this.#form.item(key, text, 0, expiration(milliseconds))
    const mode = over === null ? 'add' : 'replace'
    const reply = await replied(done => this.#cluster.home(beside).write(mode, item, tokenOf(over), done))
    if (reply.status !== OK) return refusal(reply)
    if (reply.version !== null || reply.tellsVersion) return { text, version: reply.version }
    const stored = await this.read(name)
    return stored?.text === text ? stored : 'changed'
  }

  async delete(name: string, over: SideRecord): Promise<DeleteOutcome> {
    const { key, beside } = this.#place(name)
    const reply = await replied(done => this.#cluster.home(beside).delete(key, tokenOf(over), done))
    return reply.status === OK ? 'deleted' : refusal(reply)
  }
}

function tokenOf(record: SideRecord | null): CasToken | null {
  return (record?.version ?? null) as CasToken | null
}

function refusal({ status }: Reply): 'changed' | 'missing' {
  return status === NOT_FOUND ? 'missing' : 'changed'
}

/** A reply as a promise, for the paths that are not hot. */
function replied(send: (done: ReplyCallback) => void): Promise<Reply> {
  return new Promise((resolve, reject) => {
    send((error, reply) => {
      if (error !== null) reject(error)
      else resolve((reply as Reply).keep())
    })
  })
}
