import { once } from 'node:events'
import { connect } from 'node:net'

const PER_WRITE = 1000

/** Seconds from now for which what is filled in lives. */
const LIFE = 3600

/** A session as it is stored. */
export function stored(number: number, note: string = 'n'.repeat(100)): string {
  const expires = new Date(Date.now() + LIFE * 1000).toISOString()
  const cookie = { originalMaxAge: LIFE * 1000, expires, httpOnly: true, path: '/' }
  return JSON.stringify({ cookie, number, cart: { items: [1, 2, 3], note } })
}

/** Stores many items as fast as one socket takes them: a pipeline of the text protocol. */
export async function fill(
  address: string,
  count: number,
  item: (number: number) => readonly [key: string, value: string],
): Promise<void> {
  const [host, port] = address.split(':') as [string, string]
  const socket = connect(Number(port), host)
  for (let start = 0; start < count; start += PER_WRITE) {
    let text = ''
    for (let number = start; number < Math.min(start + PER_WRITE, count); number++) {
      const [key, value] = item(number)
      text += `set ${key} 0 ${LIFE} ${value.length} noreply\r\n${value}\r\n`
    }
    if (!socket.write(text)) await once(socket, 'drain')
  }
  socket.write('version\r\n')
  const [answer] = await once(socket, 'data')
  socket.destroy()
  // What is refused is told though it asked for no reply.
  if (!String(answer).startsWith('VERSION')) throw new Error(`memcached said ${answer}`)
}

/** All keys on a server, whoever's they are. */
export async function keysOn(address: string): Promise<Set<string>> {
  const [host, port] = address.split(':') as [string, string]
  const socket = connect(Number(port), host)
  socket.write('lru_crawler metadump hash\r\n')
  const keys = new Set<string>()
  let rest = ''
  for await (const chunk of socket) {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      const key = /^key=(\S+)/.exec(line)?.[1]
      if (key !== undefined) keys.add(decodeURIComponent(key))
      else if (line !== 'OK\r') return keys
    }
  }
  throw new Error('The dump had no end')
}

/** A session's id as express-session makes them: 32 characters. */
export const sidOf = (number: number): string => `sid-${String(number).padStart(28, '0')}`
