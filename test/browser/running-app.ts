import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createApp } from '../../example-app/src/app.ts'
import type { Durable } from '../../example-app/src/durable/durable.ts'
import type { OwnServer } from '../../example-app/src/memcached/own-server.ts'
import { isOpen } from '../../example-app/src/reach/reach.ts'
import { createStore } from '../../example-app/src/store.ts'

interface Options {
  /** 0 is any free one. */
  readonly port?: number
  /** Milliseconds. */
  readonly codeLife?: number
  readonly host?: string
  /** Behind memcached. */
  readonly durable?: Durable
}

/** The example app on a port of its own; every one is like another process with its own store. */
export class RunningApp {
  readonly port: number
  readonly url: string
  readonly #server: Server
  readonly #close: () => Promise<void>

  private constructor(server: Server, close: () => Promise<void>) {
    this.port = (server.address() as AddressInfo).port
    this.url = `http://localhost:${this.port}`
    this.#server = server
    this.#close = close
  }

  static async start(
    own: readonly OwnServer[],
    { port = 0, codeLife = 60_000, host = '127.0.0.1', durable }: Options = {},
  ): Promise<RunningApp> {
    const addresses = own.map(({ address }) => address)
    const store = createStore(addresses, durable?.store)
    const servers = { addresses, description: 'a test', own, close: async () => {} }
    const app = createApp({
      store,
      secret: 'a secret of the tests, long enough',
      servers,
      durable,
      codeLife,
      reach: { isOpen: isOpen(host) },
    })
    const server = app.listen(port, host)
    await once(server, 'listening')
    return new RunningApp(server, () => store.close())
  }

  async stop(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#server.closeAllConnections()
    await closed
    await this.#close()
  }
}
