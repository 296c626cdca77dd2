// A TCP proxy in a process of its own, whose connections can be broken.

import { connect, createServer } from 'node:net'

const target = Number(process.argv[2])
/** @type {Set<import('node:net').Socket>} */
const clients = new Set()
/** Bytes of replies that still go through before the connection breaks. */
let allowance = Number.POSITIVE_INFINITY

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
  client.on('data', chunk => upstream.write(chunk))
  upstream.on('data', chunk => {
    if (chunk.length <= allowance) {
      allowance -= chunk.length
      client.write(chunk)
      return
    }
    // Half a reply, then the end.
    client.end(chunk.subarray(0, allowance))
    allowance = Number.POSITIVE_INFINITY
    upstream.destroy()
  })
})
server.listen(0, '127.0.0.1', () => {
  process.send?.({ result: /** @type {import('node:net').AddressInfo} */ (server.address()).port })
})

process.on('message', (/** @type {any} */ { task, options }) => {
  if (task === 'reset') for (const client of clients) client.resetAndDestroy()
  if (task === 'cutAfter') allowance = options.bytes
  process.send?.({ result: clients.size })
})
process.on('disconnect', () => process.exit())
