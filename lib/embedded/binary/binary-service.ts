import { type Answer, type Backend, MAX_BODY, MAX_KEY, type Service } from '../service.ts'
import { COMMANDS, type Request, type Response, Status } from './commands.ts'

const HEADER = 24
const REQUEST = 0x80
const RESPONSE = 0x81

/** What memcached sends with each status. */
const TEXT: Readonly<Record<number, string>> = {
  [Status.missing]: 'Not found',
  [Status.exists]: 'Data exists for key.',
  [Status.tooLarge]: 'Too large.',
  [Status.invalid]: 'Invalid arguments',
  [Status.notANumber]: 'Non-numeric server-side value for incr or decr',
  [Status.unknown]: 'Unknown command',
}

/** memcached's binary protocol, without SASL, append and prepend. */
export class BinaryService implements Service {
  readonly #backend: Backend

  constructor(backend: Backend) {
    this.#backend = backend
  }

  answer(input: Buffer): Answer | undefined {
    const backend = this.#backend
    if (input[0] !== REQUEST) return { take: input.length, reply: [], close: true }
    if (input.length < HEADER) return undefined
    const opcode = input.readUInt8(1)
    const keyLength = input.readUInt16BE(2)
    const extrasLength = input.readUInt8(4)
    const bodyLength = input.readUInt32BE(8)
    const opaque = input.readUInt32BE(12)
    const take = HEADER + bodyLength
    const refuse = (status: number, close: boolean): Answer => ({
      take,
      reply: encode(opcode, opaque, { status }),
      close,
    })

    const command = COMMANDS.get(opcode)
    if (keyLength + extrasLength > bodyLength) return refuse(Status.unknown, true)
    if (command === undefined) return refuse(Status.unknown, bodyLength > MAX_BODY)
    const valueLength = bodyLength - keyLength - extrasLength
    const wellFormed =
      command.extras.includes(extrasLength) &&
      (command.key === 'optional' || (command.key === 'required') === keyLength > 0) &&
      keyLength <= MAX_KEY &&
      (command.stores !== undefined || valueLength === 0)
    if (!wellFormed) return refuse(Status.invalid, true)

    const valueAt = HEADER + extrasLength + keyLength
    if (input.length < valueAt) return undefined
    const extras = input.subarray(HEADER, HEADER + extrasLength)
    const key = input.toString('latin1', HEADER + extrasLength, valueAt)
    if (
      command.stores !== undefined &&
      !backend.storage.fits(keyLength, valueLength, extras.readUInt32BE(0))
    ) {
      // By the opcode, not the CAS token: a SET with one deletes the old item too (measured).
      backend.storage.refuse(command.stores, key)
      return refuse(Status.tooLarge, bodyLength > MAX_BODY)
    }
    if (input.length < take) return undefined
    const value = input.subarray(valueAt, take)
    const request: Request = { key, extras, value, cas: input.readBigUInt64BE(16) }
    const reply: Buffer[] = []
    for (const response of command.run(backend, request)) {
      if (response.status !== command.silent) reply.push(...encode(opcode, opaque, response))
    }
    return { take, reply, close: command.closes ?? false }
  }
}

function encode(opcode: number, opaque: number, response: Response): Buffer[] {
  const { status, extras, key = '', cas = 0n } = response
  // A response that names the key says nothing more about a miss.
  const value = response.value ?? Buffer.from(key === '' ? (TEXT[status] ?? '') : '')
  const extrasLength = extras?.length ?? 0
  const head = Buffer.alloc(HEADER + extrasLength + key.length)
  head.writeUInt8(RESPONSE, 0)
  head.writeUInt8(opcode, 1)
  head.writeUInt16BE(key.length, 2)
  head.writeUInt8(extrasLength, 4)
  head.writeUInt16BE(status, 6)
  head.writeUInt32BE(extrasLength + key.length + value.length, 8)
  head.writeUInt32BE(opaque, 12)
  head.writeBigUInt64BE(cas, 16)
  if (extras !== undefined) head.set(extras, HEADER)
  head.write(key, HEADER + extrasLength, 'latin1')
  return value.length === 0 ? [head] : [head, value]
}
