import type { Socket } from 'node:net'
import { BinaryService } from './binary/binary-service.ts'
import { Inbox } from './inbox.ts'
import type { Traffic } from './own-statistics.ts'
import type { Backend, Service } from './service.ts'
import { TextService } from './text/text-service.ts'

/** The first byte of a binary request, and of no text command. */
const BINARY = 0x80

/**
 * One client: its first byte chooses the protocol, and its requests are answered in their order. Nothing
 * more is read while it does not take its replies, so that it costs no more memory than one request and
 * one socket buffer, however it behaves.
 */
export class ClientConnection {
  readonly #socket: Socket
  readonly #backend: Backend
  readonly #traffic: Traffic
  readonly #inbox: Inbox = new Inbox()
  #service: Service | undefined
  #reply: Iterator<Buffer | string> | undefined
  #closing = false

  constructor(socket: Socket, backend: Backend, traffic: Traffic) {
    this.#socket = socket
    this.#backend = backend
    this.#traffic = traffic
    socket.setNoDelay(true)
    socket.on('data', chunk => {
      traffic.bytesRead += chunk.length
      this.#inbox.push(chunk)
      this.#work()
    })
    socket.on('drain', () => this.#work())
    // A client that vanishes is no fault of the server; 'close' follows.
    socket.on('error', () => {})
    socket.on('close', () => this.#reply?.return?.())
  }

  #work(): void {
    this.#socket.cork()
    const waitsForInput = this.#answerAll()
    this.#socket.uncork()
    if (waitsForInput) this.#socket.resume()
    else this.#socket.pause()
  }

  /** False: the client must read first, or the connection is at its end. */
  #answerAll(): boolean {
    for (;;) {
      if (!this.#send()) return false
      if (this.#closing) {
        this.#socket.destroySoon()
        return false
      }
      const input = this.#inbox.bytes
      if (input.length === 0) return true
      this.#service ??= new (input[0] === BINARY ? BinaryService : TextService)(this.#backend)
      const answer = this.#service.answer(input)
      if (answer === undefined) return true
      this.#inbox.take(answer.take)
      this.#reply = answer.reply[Symbol.iterator]()
      this.#closing = answer.close ?? false
    }
  }

  /** Sends what is left of the reply; false where the socket's buffer is full before its end. */
  #send(): boolean {
    while (this.#reply !== undefined) {
      if (this.#socket.writableNeedDrain) return false
      const { done, value } = this.#reply.next()
      if (done) {
        this.#reply = undefined
      } else if (!this.#socket.destroyed) {
        this.#traffic.bytesWritten += value.length
        this.#socket.write(value, 'latin1')
      }
    }
    return true
  }
}
