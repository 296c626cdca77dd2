// Constant load on an app, from a second process: so many connections, each sends its next request as
// soon as its last is answered. Bare sockets, so that it leaves the processor to the app.

import { connect } from 'node:net'
import { quantile } from './measure.js'

/** @typedef {{ port: number, cookies: string[], connections: number, seconds: number, writes: number }} Load */

/** @param {Load} load `writes` is the part of the requests that change the session, 0 to 1 */
async function run({ port, cookies, connections, seconds, writes }) {
  const end = performance.now() + seconds * 1000
  /** @type {number[]} */
  const latencies = []
  let failed = 0
  const began = performance.now()
  await Promise.all(
    Array.from({ length: connections }, (_, index) => {
      // Each connection has sessions of its own, so that no two requests of one session overlap.
      const own = cookies.filter((_, at) => at % connections === index)
      return drive(
        port,
        end,
        turn => {
          const path = Math.floor((turn + 1) * writes) > Math.floor(turn * writes) ? '/write' : '/read'
          return `GET ${path} HTTP/1.1\r\nHost: bench\r\nCookie: ${own[turn % own.length]}\r\n\r\n`
        },
        (status, latency) => {
          latencies.push(latency)
          if (status !== 200) failed++
        },
      )
    }),
  )
  const requests = latencies.length
  return {
    requests,
    perSecond: requests / ((performance.now() - began) / 1000),
    failed,
    p50: quantile(latencies, 0.5),
    p99: quantile(latencies, 0.99),
  }
}

/**
 * @param {number} port @param {number} end
 * @param {(turn: number) => string} request @param {(status: number, latency: number) => void} answered
 * @returns {Promise<void>}
 */
function drive(port, end, request, answered) {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true })
    let turn = 0
    let text = ''
    let began = 0
    const next = () => {
      if (performance.now() >= end) {
        socket.destroy()
        return resolve()
      }
      text = ''
      began = performance.now()
      socket.write(request(turn++))
    }
    socket.setEncoding('latin1')
    socket.on('data', chunk => {
      text += chunk
      const head = text.indexOf('\r\n\r\n')
      if (head < 0) return
      const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0)
      if (text.length < head + 4 + length) return
      answered(Number(text.slice(9, 12)), performance.now() - began)
      next()
    })
    socket.once('connect', next)
    socket.once('error', reject)
  })
}

process.on('message', async (/** @type {any} */ { task, options }) => {
  if (task !== 'run') return
  try {
    process.send?.({ result: await run(options) })
  } catch (error) {
    process.send?.({ error: String(error) })
  }
})
process.on('disconnect', () => process.exit())
process.send?.({ result: 'ready' })
