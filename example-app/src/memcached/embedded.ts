import { EmbeddedMemcached } from 'express-session-memcached/embedded'
import type { OwnServer } from './own-server.ts'

/** The package's own small memcached, inside this process. */
export class Embedded implements OwnServer {
  #server: EmbeddedMemcached
  #stopped: Promise<void> | undefined
  #starting: Promise<void> | undefined

  private constructor(server: EmbeddedMemcached) {
    this.#server = server
  }

  static async start(): Promise<Embedded> {
    return new Embedded(await EmbeddedMemcached.start())
  }

  get address(): string {
    return this.#server.address
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#server.stop()
    return this.#stopped
  }

  bringBack(): Promise<void> {
    this.#starting ??= this.#start().finally(() => {
      this.#starting = undefined
    })
    return this.#starting
  }

  async #start(): Promise<void> {
    if (this.#stopped === undefined) return
    await this.#stopped
    this.#server = await EmbeddedMemcached.start({ port: this.#server.port })
    this.#stopped = undefined
  }
}
