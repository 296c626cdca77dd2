import { createSocket, type Socket as Datagrams } from 'node:dgram'
import { once } from 'node:events'
import { type AddressInfo, createServer, isIPv6, type Server } from 'node:net'

const A = 1
const AAAA = 28
const TRUNCATED = 0x0200
const NO_SUCH_NAME = 3
const BROKEN = 2
/** What a datagram may take (RFC 1035, section 4.2.1). */
const MAX_DATAGRAM = 512

/** What it says of every name: addresses, that there is no such name, that it is broken, or nothing at all. */
export type Answer = readonly string[] | 'no such name' | 'broken' | 'silent' | 'cut'

/** A name server of our own (RFC 1035), over UDP and, for long answers, TCP. */
export class NameServer implements AsyncDisposable {
  answer: Answer
  asked = 0
  readonly address: string
  readonly #udp: Datagrams
  readonly #tcp: Server

  private constructor(answer: Answer, udp: Datagrams, tcp: Server) {
    this.answer = answer
    this.address = `127.0.0.1:${udp.address().port}`
    this.#udp = udp
    this.#tcp = tcp
    udp.on('message', (query, from) => {
      this.asked++
      const reply = this.#reply(query, MAX_DATAGRAM)
      if (reply !== null) udp.send(reply, from.port, from.address)
    })
    tcp.on('connection', socket => {
      socket.on('error', () => {})
      socket.on('data', bytes => {
        const reply = this.#reply(bytes.subarray(2), Infinity)
        if (reply === null) return
        const length = Buffer.alloc(2)
        length.writeUInt16BE(reply.length)
        if (this.answer === 'cut') socket.end(length)
        else socket.write(Buffer.concat([length, reply]))
      })
    })
  }

  static async start(answer: Answer): Promise<NameServer> {
    for (;;) {
      const tcp = createServer().listen(0, '127.0.0.1')
      await once(tcp, 'listening')
      const udp = createSocket('udp4')
      udp.bind((tcp.address() as AddressInfo).port, '127.0.0.1')
      // The port may be somebody's for the other protocol.
      const isBound = await once(udp, 'listening').then(
        () => true,
        () => false,
      )
      if (isBound) return new NameServer(answer, udp, tcp)
      tcp.close()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#udp.close()
    this.#tcp.close()
    await Promise.all([once(this.#udp, 'close'), once(this.#tcp, 'close')])
  }

  #reply(query: Buffer, most: number): Buffer | null {
    const { answer } = this
    if (answer === 'silent') return null
    let end = 12
    while (query[end] !== 0) end += 1 + (query[end] as number)
    const kind = query.readUInt16BE(end + 1)
    const question = query.subarray(12, end + 5)
    const code = answer === 'no such name' ? NO_SUCH_NAME : answer === 'broken' ? BROKEN : 0
    const addresses = typeof answer === 'string' ? [] : answer.filter(one => isIPv6(one) === (kind === AAAA))
    const records = kind === A || kind === AAAA ? addresses.map(one => record(one)) : []
    const body = Buffer.concat([question, ...records])
    const isTooLong = answer === 'cut' ? most === MAX_DATAGRAM : 12 + body.length > most
    const header = Buffer.alloc(12)
    header.writeUInt16BE(query.readUInt16BE(0), 0)
    header.writeUInt16BE(0x8180 | (isTooLong ? TRUNCATED : 0) | code, 2)
    header.writeUInt16BE(1, 4)
    header.writeUInt16BE(isTooLong ? 0 : records.length, 6)
    return Buffer.concat([header, isTooLong ? question : body])
  }
}

/** An address of the name that was asked for. */
function record(address: string): Buffer {
  const bytes = isIPv6(address) ? wide(address) : Buffer.from(address.split('.').map(Number))
  const head = Buffer.alloc(12)
  head.writeUInt16BE(0xc00c, 0)
  head.writeUInt16BE(bytes.length === 4 ? A : AAAA, 2)
  head.writeUInt16BE(1, 4)
  head.writeUInt16BE(bytes.length, 10)
  return Buffer.concat([head, bytes])
}

/** Of the form `a::b` only. */
function wide(address: string): Buffer {
  const [first = '', last = ''] = address.split('::')
  const bytes = Buffer.alloc(16)
  bytes.writeUInt16BE(Number.parseInt(first, 16), 0)
  bytes.writeUInt16BE(Number.parseInt(last, 16), 14)
  return bytes
}
