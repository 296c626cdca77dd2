import { MemcachedStoreError } from '../../errors.ts'
import type { ServerAddress } from '../address.ts'
import { garbage, wrongCredentials } from '../failures.ts'
import type { Greeting } from '../protocol.ts'

/** No answer to a greeting is longer. */
const MAX_LINE = 512
const UNAUTHENTICATED = 'CLIENT_ERROR unauthenticated'
const MEMCACHIER = /\.memcachier\.com$/i
const KEY = /^[\x21-\x7e]{1,250}$/

/**
 * Asks for the version, and logs in where the server wants that (`-Y`; protocol.txt, "Authentication"): with a
 * `set` of "user password", which a server that wants no login would store.
 *
 * MemCachier takes nothing before the login, which is a `set` of the password under the user's name (its
 * documentation, "Supported Protocols"). It is known by its name alone: whoever else got that would store it.
 */
export class TextGreeting implements Greeting {
  readonly opening: Buffer
  /** What the server said to be; empty where it told only that it wants a password. */
  version = ''
  readonly #address: ServerAddress
  /** Is the answer to the login due? */
  #isLogin: boolean
  #text = ''

  constructor(address: ServerAddress) {
    this.#address = address
    const { host = '', username = '', password } = address
    this.#isLogin = password !== undefined && MEMCACHIER.test(host) && KEY.test(username)
    this.opening = this.#isLogin ? login(username, password as string) : Buffer.from('version\r\n')
  }

  take(bytes: Buffer): 'done' | 'more' | Buffer | MemcachedStoreError {
    const { name } = this.#address
    this.#text += bytes.toString('latin1', 0, MAX_LINE)
    const end = this.#text.indexOf('\n')
    if (end === -1) return this.#text.length < MAX_LINE ? 'more' : garbage(name)
    if (end < this.#text.length - 1) return garbage(name, 'a reply to nobody')
    const line = this.#text.trimEnd()
    this.#text = ''
    if (this.#isLogin) {
      if (line === 'STORED') return 'done'
      return /^((CLIENT_|SERVER_)?ERROR|NOT_STORED)\b/.test(line) ? wrongCredentials(name) : garbage(name)
    }
    if (line === UNAUTHENTICATED) return this.#logIn()
    this.version = /^VERSION ([\x20-\x7e]{1,100})$/.exec(line)?.[1] ?? ''
    // Of a proxy whose server is away: others may be there.
    return /^(VERSION|SERVER_ERROR) /.test(line) ? 'done' : garbage(name)
  }

  #logIn(): Buffer | MemcachedStoreError {
    const { name, username, password } = this.#address
    if (username === undefined || password === undefined) {
      return new MemcachedStoreError(
        'ERR_UNAVAILABLE',
        `memcached on ${name} wants a password (-Y): give the options \`username\` and \`password\``,
      )
    }
    this.#isLogin = true
    return login('login', `${username} ${password}`)
  }
}

function login(key: string, text: string): Buffer {
  return Buffer.from(`set ${key} 0 0 ${Buffer.byteLength(text)}\r\n${text}\r\n`)
}
