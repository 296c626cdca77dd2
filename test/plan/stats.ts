import { connect } from 'node:net'

/** What memcached tells (`stats`, `stats slabs` …), by name. */
export async function statsOf(address: string, what = ''): Promise<Map<string, number>> {
  const [host, port] = address.split(':') as [string, string]
  const socket = connect(Number(port), host)
  socket.setEncoding('latin1')
  socket.write(`stats ${what}`.trimEnd().concat('\r\n'))
  let answer = ''
  for await (const text of socket) {
    answer += text
    if (answer.endsWith('END\r\n')) break
  }
  return new Map(
    [...answer.matchAll(/^STAT (\S+) (\S+)\r$/gm)].map(([, name = '', value]) => [name, Number(value)]),
  )
}
