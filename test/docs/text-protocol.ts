import { connect, type Socket } from 'node:net'

/** A key as the store writes it: `sess:` and the 32 characters of an express-session id. */
export const key = (number: number): string => `sess:${String(number).padStart(32, '0')}`
export const write = (command: 'set' | 'replace', number: number, value: string): string =>
  `${command} ${key(number)} 0 0 ${value.length}\r\n${value}\r\n`
export const session: string = 'v'.repeat(361)

/** Sends lines of the text protocol and gives all that is answered until memcached hangs up. */
export async function ask(port: number, text: string, host = '127.0.0.1'): Promise<string> {
  const socket = connect(port, host)
  socket.write(`${text}quit\r\n`)
  return read(socket)
}

export async function read(socket: Socket): Promise<string> {
  let answer = ''
  for await (const chunk of socket) answer += chunk
  return answer
}

export async function stats(port: number, kind = ''): Promise<Record<string, string>> {
  const lines = (await ask(port, `stats ${kind}\r\n`)).matchAll(/^STAT (\S+) (.*)\r$/gm)
  return Object.fromEntries([...lines].map(line => [line[1], line[2]]))
}

/** Stores sessions 0 to `count` - 1 and gives how many were refused. */
export async function fill(port: number, count: number): Promise<number> {
  const answers = await ask(
    port,
    Array.from({ length: count }, (_, number) => write('set', number, session)).join(''),
  )
  return answers.match(/^SERVER_ERROR out of memory storing object/gm)?.length ?? 0
}
