import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** What happens to a connection that speaks text: the first it says, and both its ends. */
export type OnText = (text: string, client: Socket, server: Socket) => void

/** Stands in front of a memcached: binary connections pass, those that speak text are a test's. */
export class Front implements AsyncDisposable {
  readonly address: string
  readonly #server: Server
  readonly #sockets: Set<Socket> = new Set()

  private constructor(server: Server, target: string, onText: OnText) {
    this.#server = server
    this.address = `127.0.0.1:${(server.address() as AddressInfo).port}`
    const [host, port] = target.split(':') as [string, string]
    server.on('connection', client => {
      const upstream = connect(Number(port), host)
      for (const [one, other] of [
        [client, upstream],
        [upstream, client],
      ] as const) {
        this.#sockets.add(one)
        one.on('error', () => {})
        one.on('close', () => {
          this.#sockets.delete(one)
          other.end()
        })
      }
      client.once('data', first => {
        const pass = (): void => {
          upstream.write(first)
          client.pipe(upstream)
          upstream.pipe(client)
        }
        if (first[0] === 0x80) pass()
        else {
          onText(first.toString('latin1'), client, upstream)
          if (!client.destroyed && !client.writableEnded) pass()
        }
      })
    })
  }

  static async start(target: string, onText: OnText): Promise<Front> {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new Front(server, target, onText)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }
}

/** Says OK before the keys, as memcached does since 1.6.43. */
export const sayOk: OnText = (_, client) => {
  client.write('OK\r\n')
}
