import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'

/** A server that says what a test wants. `answer` gets each line and the socket it came on. */
export class ScriptedServer implements AsyncDisposable {
  readonly address: string
  /** The lines that came. */
  readonly lines: string[] = []
  readonly sockets: Set<Socket> = new Set()
  readonly #server: Server

  private constructor(server: Server, answer: (line: string, socket: Socket) => void) {
    this.#server = server
    this.address = `127.0.0.1:${(server.address() as AddressInfo).port}`
    server.on('connection', socket => {
      this.sockets.add(socket)
      socket.on('close', () => this.sockets.delete(socket))
      socket.on('error', () => {})
      socket.on('data', chunk => {
        const line = chunk.toString('latin1')
        this.lines.push(line)
        answer(line, socket)
      })
    })
  }

  static async start(answer: (line: string, socket: Socket) => void): Promise<ScriptedServer> {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new ScriptedServer(server, answer)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.sockets) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }
}
