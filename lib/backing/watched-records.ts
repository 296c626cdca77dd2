import type { DeletableRecords, DeleteOutcome, SideRecord, WriteOutcome } from '../storage/storage.ts'
import type { Suspicion } from './suspicion.ts'

/** Records in memcached that nothing lies behind. But an outage that one of them meets the sessions have to know of. */
export class WatchedRecords implements DeletableRecords {
  readonly maxBytes: number
  readonly #front: DeletableRecords
  readonly #suspicion: Suspicion

  constructor(front: DeletableRecords, suspicion: Suspicion) {
    this.maxBytes = front.maxBytes
    this.#front = front
    this.#suspicion = suspicion
  }

  addressOf(name: string): string {
    return this.#front.addressOf(name)
  }

  read(name: string): Promise<SideRecord | null> {
    return this.#watch(name, this.#front.read(name))
  }

  write(name: string, text: string, milliseconds: number, over: SideRecord | null): Promise<WriteOutcome> {
    return this.#watch(name, this.#front.write(name, text, milliseconds, over))
  }

  delete(name: string, over: SideRecord): Promise<DeleteOutcome> {
    return this.#watch(name, this.#front.delete(name, over))
  }

  async #watch<T>(name: string, result: Promise<T>): Promise<T> {
    try {
      return await result
    } catch (error) {
      this.#suspicion.note(this.#front.addressOf(name), error)
      throw error
    }
  }
}
