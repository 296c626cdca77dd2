// The limit: what no memcached session store in Node can beat. A bare socket, JSON and nothing else:
// no expiry check, no deadline, no reconnection, no CAS token, no opaque id. What there is, is done as
// well as we know how, and was measured against other ways:
//
// - the requests of a tick are encoded straight into one outgoing buffer, which is written once;
// - replies are read in place, in a buffer of ours that the socket fills (`onread`), past all streams;
// - replies are matched by order alone: memcached answers a connection in the order of its requests.

import { connect } from 'node:net'

const PREFIX = 'sess:'
const LIFE = 86_400
const GET = 0x00
const SET = 0x01
const TOUCH = 0x1c
const HEADER = 24
const BUFFER = 1 << 20

/** @typedef {(error: Error | null, session?: any) => void} Callback */

/**
 * What Node's Buffer has besides what is documented, one layer nearer to the metal.
 * @typedef {Buffer & {
 *   utf8Write(text: string, at: number): number
 *   latin1Write(text: string, at: number): number
 *   utf8Slice(start: number, end: number): string
 * }} FastBuffer
 */

const newBuffer = () => /** @type {FastBuffer} */ (Buffer.allocUnsafeSlow(BUFFER))

export class Limit {
  /** @type {import('node:net').Socket} */
  #socket
  #flush = () => this.#write()

  // Requests not yet written: #out up to #outEnd.
  #out = newBuffer()
  #outView = new DataView(this.#out.buffer)
  #outEnd = 0

  // Replies not yet read: #in from #inStart to #inEnd.
  #in = newBuffer()
  #inView = new DataView(this.#in.buffer)
  #inStart = 0
  #inEnd = 0

  /** Who waits for a reply, oldest at #first. @type {(Callback | undefined)[]} */
  #waiting = []
  #first = 0

  /** @param {number} port */
  constructor(port) {
    this.#socket = connect({
      host: '127.0.0.1',
      port,
      noDelay: true,
      onread: {
        buffer: () => this.#in.subarray(this.#inEnd),
        callback: bytes => this.#read(bytes),
      },
    })
  }

  /** @param {string} sid @param {Callback} done */
  get(sid, done) {
    this.#start(GET, sid, 0, 0)
    this.#outEnd += HEADER + PREFIX.length + sid.length
    this.#waiting.push(done)
  }

  /** @param {string} sid @param {object} session @param {Callback} done */
  set(sid, session, done) {
    const text = JSON.stringify(session)
    const at = this.#start(SET, sid, 8, text.length * 3)
    this.#outView.setUint32(at + HEADER, 0)
    this.#outView.setUint32(at + HEADER + 4, LIFE)
    const body = 8 + PREFIX.length + sid.length
    const size = this.#out.utf8Write(text, at + HEADER + body)
    this.#outView.setUint32(at + 8, body + size)
    this.#outEnd += HEADER + body + size
    this.#waiting.push(done)
  }

  /** @param {string} sid @param {object} _session @param {Callback} done */
  touch(sid, _session, done) {
    const at = this.#start(TOUCH, sid, 4, 0)
    this.#outView.setUint32(at + HEADER, LIFE)
    this.#outEnd += HEADER + 4 + PREFIX.length + sid.length
    this.#waiting.push(done)
  }

  close() {
    this.#socket.destroy()
  }

  /**
   * Makes room for a request and writes its header and key.
   * @param {number} opcode @param {string} sid @param {number} extras @param {number} room
   * @returns {number} where it begins
   */
  #start(opcode, sid, extras, room) {
    const key = PREFIX + sid
    if (this.#outEnd + HEADER + extras + key.length + room > BUFFER) this.#write()
    if (this.#outEnd === 0) process.nextTick(this.#flush)
    const at = this.#outEnd
    const view = this.#outView
    view.setUint32(at, (0x80 << 24) | (opcode << 16) | key.length)
    view.setUint32(at + 4, extras << 24)
    view.setUint32(at + 8, extras + key.length)
    view.setUint32(at + 12, 0) // opaque
    view.setUint32(at + 16, 0) // CAS
    view.setUint32(at + 20, 0)
    this.#out.latin1Write(key, at + HEADER + extras)
    return at
  }

  #write() {
    if (this.#outEnd === 0) return
    this.#socket.write(this.#out.subarray(0, this.#outEnd))
    this.#outEnd = 0
    if (this.#socket.writableLength === 0) return
    // The kernel did not take it all: the buffer belongs to the socket until it has.
    this.#out = newBuffer()
    this.#outView = new DataView(this.#out.buffer)
  }

  /** @param {number} bytes just received */
  #read(bytes) {
    this.#inEnd += bytes
    const view = this.#inView
    let at = this.#inStart
    while (this.#inEnd - at >= HEADER) {
      const end = at + HEADER + view.getUint32(at + 8)
      if (end > this.#inEnd) break
      const done = /** @type {Callback} */ (this.#waiting[this.#first])
      this.#waiting[this.#first++] = undefined
      const status = view.getUint16(at + 6)
      if (status !== 0) throw new Error(`memcached answered with status ${status}`)
      if (view.getUint8(at + 1) === GET) {
        done(null, JSON.parse(this.#in.utf8Slice(at + HEADER + view.getUint8(at + 4), end)))
      } else {
        done(null)
      }
      at = end
    }
    this.#inStart = at
    if (this.#first === this.#waiting.length) this.#first = this.#waiting.length = 0
    else if (this.#first > 4096) {
      this.#waiting.splice(0, this.#first)
      this.#first = 0
    }
    if (this.#inStart === this.#inEnd) this.#inStart = this.#inEnd = 0
    else if (this.#inEnd > BUFFER / 2) {
      this.#in.copyWithin(0, this.#inStart, this.#inEnd)
      this.#inEnd -= this.#inStart
      this.#inStart = 0
    }
    return true
  }
}
