// A TCP proxy in a process of its own, as far away as one likes, whose connections can be broken.

import { connect, createServer } from 'node:net'

const target = Number(process.argv[2])
/** @type {Set<import('node:net').Socket>} */
const clients = new Set()
/** Bytes of replies that still go through before the connection breaks. */
let allowance = Number.POSITIVE_INFINITY
/** ms that bytes take there and back; not changed while any are under way, so they keep their order. */
let [there, back] = [0, 0]

/** @param {number} delay @param {() => void} pass */
const after = (delay, pass) => {
  if (delay === 0) pass()
  else setTimeout(pass, delay)
}

const server = createServer(client => {
  const upstream = connect(target, '127.0.0.1')
  const end = () => {
    clients.delete(client)
    client.resetAndDestroy()
    upstream.destroy()
  }
  clients.add(client)
  for (const socket of [client, upstream])
    socket
      .setNoDelay(true)
      .on('error', () => {})
      .on('close', end)
  client.on('data', chunk => after(there, () => upstream.write(chunk)))
  upstream.on('data', chunk => after(back, () => reply(chunk)))
  const reply = (/** @type {Buffer} */ chunk) => {
    if (chunk.length <= allowance) {
      allowance -= chunk.length
      client.write(chunk)
      return
    }
    // Half a reply, then the end.
    client.end(chunk.subarray(0, allowance))
    allowance = Number.POSITIVE_INFINITY
    upstream.destroy()
  }
})
server.listen(0, '127.0.0.1', () => {
  process.send?.({ result: /** @type {import('node:net').AddressInfo} */ (server.address()).port })
})

process.on('message', (/** @type {any} */ { task, options }) => {
  if (task === 'reset') for (const client of clients) client.resetAndDestroy()
  if (task === 'cutAfter') allowance = options.bytes
  // Timers count whole milliseconds.
  if (task === 'roundTrip') [there, back] = [Math.ceil(options.ms / 2), Math.floor(options.ms / 2)]
  process.send?.({ result: clients.size })
})
process.on('disconnect', () => process.exit())
