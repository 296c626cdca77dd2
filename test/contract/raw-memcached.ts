import { connect } from 'node:net'
import { until } from '../support/until.ts'

/** An item as memcached holds it. */
export interface RawItem {
  readonly value: string
  readonly flags: number
}

/** Speaks memcached's text protocol: shows and plants what the store would hide or refuse. */
export class RawMemcached {
  readonly #port: number
  readonly #host: string

  /** @param address - `host:port`. */
  constructor(address: string) {
    const [host, port] = address.split(':') as [string, string]
    this.#host = host
    this.#port = Number(port)
  }

  async get(key: string): Promise<RawItem | null> {
    const answer = await this.#ask(`get ${key}\r\n`)
    const found = /^VALUE \S+ (\d+) (\d+)\r\n/.exec(answer)
    if (found === null) return null
    const value = Buffer.from(answer.slice(found[0].length, found[0].length + Number(found[2])), 'latin1')
    return { value: value.toString(), flags: Number(found[1]) }
  }

  /** The CAS token of this item; undefined where there is none. */
  async token(key: string): Promise<string | undefined> {
    return /^VALUE \S+ \d+ \d+ (\d+)\r\n/.exec(await this.#ask(`gets ${key}\r\n`))?.[1]
  }

  /** Gives the server's answer, `STORED` if all is well. */
  async set(key: string, value: string, flags = 0): Promise<string> {
    const bytes = Buffer.from(value).toString('latin1')
    return (await this.#ask(`set ${key} ${flags} 0 ${bytes.length}\r\n${bytes}\r\n`)).trim()
  }

  async delete(key: string): Promise<void> {
    await this.#ask(`delete ${key}\r\n`)
  }

  /** When each item that begins with this prefix ends, in seconds of Unix time; Infinity for never. */
  async expirations(prefix = ''): Promise<Map<string, number>> {
    const dump = await until(async () => {
      // One dump at a time: other test files may ask, too.
      const answer = await this.#ask('lru_crawler metadump hash\r\n')
      return answer.startsWith('BUSY') ? null : answer
    })
    const found = new Map<string, number>()
    for (const [, key, seconds] of dump.matchAll(/^key=(\S+) exp=(-?\d+) /gm)) {
      const plain = decodeURIComponent(key as string)
      if (plain.startsWith(prefix)) found.set(plain, seconds === '-1' ? Infinity : Number(seconds))
    }
    return found
  }

  /** When this item ends, in seconds of Unix time; undefined where there is none. */
  async expiration(key: string): Promise<number | undefined> {
    return (await this.expirations(key)).get(key)
  }

  /** Seconds of Unix time as this server counts them: its clock ticks once a second, and may lag by almost two. */
  async time(): Promise<number> {
    return Number(/^STAT time (\d+)/m.exec(await this.#ask('stats\r\n'))?.[1])
  }

  /** All that is answered until memcached hangs up, or to the end of a dump: `quit` behind one gets lost (1.6.18). */
  async #ask(text: string): Promise<string> {
    const socket = connect(this.#port, this.#host).setEncoding('latin1')
    socket.write(`${text}quit\r\n`, 'latin1')
    let answer = ''
    for await (const chunk of socket) {
      answer += chunk
      if (text.startsWith('lru_crawler') && /^(END|BUSY.*)\r\n$/m.test(answer)) break
    }
    return answer
  }
}
