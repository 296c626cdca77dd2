import { EXISTS, NOT_FOUND } from '../../lib/memcached/reply.ts'
import { TOMBSTONE } from '../../lib/storage/stored-form.ts'
import type { Fault } from './plan.ts'
import type { Answer, Command } from './server.ts'
import { BEGINNING, type Clock, type VirtualTime } from './virtual-time.ts'

/** A history in words: when, who, and what was sent, answered, or done. */
export class Story {
  readonly #time: VirtualTime
  readonly #names: Map<Clock, string> = new Map()
  readonly #lines: string[] = []

  constructor(time: VirtualTime) {
    this.#time = time
  }

  name(clock: Clock, name: string): void {
    this.#names.set(clock, name)
  }

  /** For what one request tells of itself. */
  of(clock: Clock, who: string): (text: string) => void {
    return text => this.#add(`${this.#names.get(clock)}, ${who}`, text)
  }

  readonly listen = (clock: Clock, server: string, said: Command | Answer | string): void => {
    const port = server.replace(':11211', '')
    const text =
      typeof said === 'string'
        ? `${port}: ${said}`
        : 'what' in said
          ? `-> ${port}  ${command(said)}`
          : `<- ${port}  ${answer(said)}`
    this.#add(this.#names.get(clock) ?? '', `    ${text}`)
  }

  tell(clock: Clock, text: string): void {
    this.#add(this.#names.get(clock) ?? '', `    ${text}`)
  }

  fault(fault: Fault): void {
    this.#add('FAULT', describeFault(fault))
  }

  toString(): string {
    return this.#lines.join('\n')
  }

  #add(who: string, text: string): void {
    const time = (this.#time.now - BEGINNING).toFixed(1).padStart(9)
    this.#lines.push(`${time}  ${who.padEnd(22)}  ${text}`)
  }
}

function describeFault(fault: Fault): string {
  switch (fault.fault) {
    case 'evict':
      return 'an item is evicted'
    case 'restart':
      return `server-${fault.server} is restarted ${fault.isWarm ? 'warm' : 'empty'}, away for ${fault.away} ms`
    case 'freeze':
      return `server-${fault.server} freezes for ${fault.lasts} ms`
    case 'cut':
      return (
        `server-${fault.server} breaks the connection ${fault.when} it carries out ` +
        `the next ${fault.what === 'any' ? 'request' : 'write'}`
      )
    case 'flush':
      return 'memcached loses everything'
    case 'flush at a change':
      return 'memcached loses everything when the database is told of the next change'
    case 'backing down':
      return `the database is away for ${fault.lasts} ms`
    case 'backing hangs':
      return `the database hangs for ${fault.lasts} ms`
    case 'backing fails':
      return `the database fails ${fault.calls} times, ${fault.when} acting`
    case 'clock':
      return `the clock of process ${fault.process} is set ${fault.by} ms on`
  }
}

function command(said: Command): string {
  switch (said.what) {
    case 'get':
      return `get ${said.key}`
    case 'touch':
      return `touch ${said.key} for ${said.expiration} s`
    case 'delete':
      return `delete ${said.key}${condition(said.cas)}`
    default:
      return `${said.what} ${said.key}${condition(said.cas)} for ${said.item.expiration} s: ${value(said.item)}`
  }
}

function condition(cas: number): string {
  return cas === 0 ? '' : ` if version ${cas}`
}

function answer({ status, flags, cas, value: bytes }: Answer): string {
  if (status === NOT_FOUND) return 'not found'
  if (status === EXISTS) return 'exists'
  if (bytes.length === 0 && flags === 0) return `ok${cas === 0 ? '' : `, version ${cas}`}`
  return `version ${cas}: ${value({ flags, value: bytes })}`
}

function value({ flags, value: bytes }: { readonly flags: number; readonly value: string | Buffer }): string {
  const text = String(bytes)
  if ((flags & TOMBSTONE) !== 0) return `tombstone ${text}`
  if (/^[\da-f-]{36}$/.test(text)) return 'a token'
  return text
    .replace(/"(\w+)":/g, '$1:')
    .replace(/,httpOnly:true,path:"\/"/, '')
    .replace(/"\d{4}-\d\d-\d\dT([^"]*)Z"/g, (iso, time) => {
      const ahead = Date.parse(iso.slice(1, -1)) - BEGINNING
      return Number.isNaN(ahead) ? time : `at ${ahead}`
    })
}
