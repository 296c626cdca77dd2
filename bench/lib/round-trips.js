// How many commands a server has answered, as it counts them itself.

import { once } from 'node:events'
import { connect } from 'node:net'
import { contenders } from '../contenders.js'

/** What memcached counts by kind (its doc/protocol.txt, "General-purpose statistics"). */
const MEMCACHED = /STAT (?:cmd_get|cmd_set|cmd_touch|delete_hits|delete_misses) (\d+)/g

/** @param {string} name of a contender @param {import('./servers.js').Servers} servers */
export async function commands(name, servers) {
  const server = contenders[name]?.server ?? null
  const port = server === null ? undefined : servers[server]?.port
  if (server === null) return 0
  if (port === undefined) return Number.NaN
  if (server === 'memcached') {
    const counts = (await ask(port, 'stats\r\n', 'END\r\n')).matchAll(MEMCACHED)
    return [...counts].reduce((sum, [, count]) => sum + Number(count), 0)
  }
  // Redis counts this question too, one in a thousand or so.
  if (server === 'redis') {
    return Number(
      /total_commands_processed:(\d+)/.exec(await ask(port, 'INFO stats\r\n', 'total_commands'))?.[1],
    )
  }
  return Number.NaN
}

/** @param {number} port @param {string} question @param {string} end of the answer */
export async function ask(port, question, end) {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.setEncoding('latin1').write(question)
  let text = ''
  for await (const chunk of socket) {
    text += chunk
    if (text.includes(end)) break
  }
  return text
}
