import { EmbeddedMemcached } from 'express-session-memcached/embedded'
import type { OwnServer } from './own-server.ts'

/** The package's own small memcached, inside this process. */
export class Embedded implements OwnServer {
  #server: EmbeddedMemcached

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
    return this.#server.stop()
  }

  async bringBack(): Promise<void> {
    await this.stop()
    this.#server = await EmbeddedMemcached.start({ port: this.#server.port })
  }
}
