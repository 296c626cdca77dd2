import { connect, type Socket } from 'node:net'

/** One item as it is stored. */
export interface Item {
  readonly text: string
  readonly flags: number
  readonly bytes: number
  /** For a write on the condition that nothing changed. */
  readonly cas: string
}

const TIMEOUT = 500

/**
 * Asks one memcached something in its text protocol (protocol.txt), on a connection that lasts for
 * this question. The sessions go another way: through the store.
 */
async function ask(address: string, command: string): Promise<Buffer> {
  const socket = connectTo(address)
  const timer = setTimeout(() => socket.destroy(new Error(`${address} does not answer`)), TIMEOUT)
  try {
    socket.write(command)
    let reply = Buffer.alloc(0)
    for await (const chunk of socket) {
      reply = Buffer.concat([reply, chunk as Buffer])
      if (isWhole(reply)) return reply
    }
    throw new Error(`${address} closed the connection`)
  } finally {
    clearTimeout(timer)
    socket.destroy()
  }
}

/** Knows all forms of an address that the store knows, but neither passwords nor TLS. */
function connectTo(address: string): Socket {
  if (address.startsWith('/')) return connect(address)
  const { port, hostname } = new URL(address.includes('://') ? address : `memcached://${address}`)
  return connect(port === '' ? 11211 : Number(port), hostname.replace(/^\[|\]$/g, ''))
}

/** Replies end with a line of their own; the length of a value stands in the line before it. */
function isWhole(reply: Buffer): boolean {
  if (reply.at(-1) !== 0x0a) return false
  const header = VALUE.exec(reply.toString('latin1', 0, 400))
  if (header !== null) return reply.length >= header[0].length + Number(header[2]) + '\r\nEND\r\n'.length
  return (
    !reply.subarray(0, 5).equals(Buffer.from('STAT ')) || reply.subarray(-5).equals(Buffer.from('END\r\n'))
  )
}

const VALUE = /^VALUE \S+ (\d+) (\d+)(?: (\d+))?\r\n/

/** Does a memcached answer there? */
export async function answers(address: string): Promise<boolean> {
  return ask(address, 'version\r\n').then(
    reply => reply.toString('latin1').startsWith('VERSION'),
    () => false,
  )
}

export async function readItem(address: string, key: string): Promise<Item | null> {
  const reply = await ask(address, `gets ${key}\r\n`)
  const header = VALUE.exec(reply.toString('latin1', 0, 400))
  if (header === null) return null
  const [line, flags, bytes, cas] = header
  const text = reply.toString('utf8', line.length, line.length + Number(bytes))
  return { text, flags: Number(flags), bytes: Number(bytes), cas: cas ?? '0' }
}

/** Stores text for some seconds if the key is free. */
export async function addItem(address: string, key: string, text: string, seconds: number): Promise<boolean> {
  return store(address, `add ${key} 0 ${seconds} ${Buffer.byteLength(text)}\r\n${text}\r\n`)
}

/** Stores text for some seconds if the item is still the one with this token. */
export async function swapItem(
  address: string,
  key: string,
  text: string,
  seconds: number,
  cas: string,
): Promise<boolean> {
  return store(address, `cas ${key} 0 ${seconds} ${Buffer.byteLength(text)} ${cas}\r\n${text}\r\n`)
}

async function store(address: string, command: string): Promise<boolean> {
  const reply = (await ask(address, command)).toString('latin1')
  if (!/^(STORED|NOT_STORED|EXISTS|NOT_FOUND)\r\n$/.test(reply))
    throw new Error(`${address} answered: ${reply.trim()}`)
  return reply.startsWith('STORED')
}
