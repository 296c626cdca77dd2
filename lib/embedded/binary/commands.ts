import type { Backend } from '../service.ts'
import type { StoreMode } from '../storage.ts'
import type { Item, Refusal } from '../stored-item.ts'

/** Response statuses of the binary protocol. */
export const Status = {
  ok: 0,
  missing: 1,
  exists: 2,
  tooLarge: 3,
  invalid: 4,
  notANumber: 6,
  unknown: 0x81,
} as const
const STATUS_OF: Readonly<Record<Refusal, number>> = {
  missing: Status.missing,
  exists: Status.exists,
  'not a number': Status.notANumber,
}

export interface Request {
  readonly key: string
  readonly extras: Buffer
  readonly value: Buffer
  readonly cas: bigint
}

export interface Response {
  readonly status: number
  readonly extras?: Buffer
  readonly key?: string
  readonly value?: Buffer
  readonly cas?: bigint
}

export interface Command {
  /** Lengths of extras it accepts. */
  readonly extras: readonly number[]
  readonly key: 'required' | 'optional' | 'none'
  /** Set for the commands that carry a value: how it is stored where the request names no CAS token. */
  readonly stores?: 'set' | 'add' | 'replace'
  /** The status that is not worth a response. */
  readonly silent?: number
  readonly closes?: boolean
  readonly run: (backend: Backend, request: Request) => Iterable<Response>
}

function read(shape: { touch?: boolean; withKey?: boolean; withValue?: boolean; quiet?: boolean }): Command {
  return {
    extras: [shape.touch ? 4 : 0],
    key: 'required',
    ...(shape.quiet && { silent: Status.missing }),
    run: ({ storage }, { key, extras }) => {
      const item = shape.touch ? storage.touch(key, extras.readUInt32BE(0)) : storage.get(key)
      const named = shape.withKey ? { key } : {}
      if (item === undefined) return [{ status: Status.missing, ...named }]
      const flags = Buffer.alloc(4)
      flags.writeUInt32BE(item.flags)
      const value = shape.withValue === false ? Buffer.alloc(0) : item.value
      return [{ status: Status.ok, extras: flags, ...named, value, cas: item.cas }]
    },
  }
}

function store(stores: 'set' | 'add' | 'replace'): Command {
  return {
    extras: [8],
    key: 'required',
    stores,
    run: ({ storage }, { key, value, extras, cas }) => {
      const mode: StoreMode = cas === 0n ? stores : { cas }
      return [written(storage.store(mode, key, value, extras.readUInt32BE(0), extras.readUInt32BE(4)))]
    },
  }
}

function count(direction: 'incr' | 'decr'): Command {
  return {
    extras: [20],
    key: 'required',
    run: ({ storage }, { key, extras, cas }) => {
      const [by, initial, last] = [
        extras.readBigUInt64BE(0),
        extras.readBigUInt64BE(8),
        extras.readUInt32BE(16),
      ]
      const expiration = last === 0xffffffff ? undefined : last
      const outcome = storage.count(key, { direction, by, initial, expiration, cas })
      if (typeof outcome === 'string') return [written(outcome)]
      const value = Buffer.alloc(8)
      value.writeBigUInt64BE(BigInt(outcome.value.toString('latin1').trim()))
      return [{ ...written(outcome), value }]
    },
  }
}

function written(outcome: Item | Refusal): Response {
  if (typeof outcome === 'string') return { status: STATUS_OF[outcome] }
  return { status: Status.ok, cas: outcome.cas }
}

const quiet = (command: Command): Command => ({ ...command, silent: Status.ok })

const remove: Command = {
  extras: [0],
  key: 'required',
  run: ({ storage }, { key, cas }) => {
    const refusal = storage.delete(key, cas)
    return [{ status: refusal === undefined ? Status.ok : STATUS_OF[refusal] }]
  },
}
const flush: Command = {
  extras: [0, 4],
  key: 'none',
  run: ({ storage }, { extras }) => {
    storage.flush(extras.length === 4 ? extras.readUInt32BE(0) : 0)
    return [{ status: Status.ok }]
  },
}
const noop: Command = { extras: [0], key: 'none', run: () => [{ status: Status.ok }] }
const quit: Command = { ...noop, closes: true }
const version: Command = {
  ...noop,
  run: backend => [{ status: Status.ok, value: Buffer.from(backend.version) }],
}
const stat: Command = {
  extras: [0],
  key: 'optional',
  run: (backend, { key: group }) => {
    const statistics = backend.stats(group)
    if (statistics === undefined) return [{ status: Status.missing }]
    const list = statistics.map(([key, value]) => ({
      status: Status.ok,
      key,
      value: Buffer.from(`${value}`),
    }))
    return [...list, { status: Status.ok }]
  },
}

/** Each opcode. Append, prepend, verbosity and SASL are left out. */
export const COMMANDS: ReadonlyMap<number, Command> = new Map([
  [0x00, read({})],
  [0x01, store('set')],
  [0x02, store('add')],
  [0x03, store('replace')],
  [0x04, remove],
  [0x05, count('incr')],
  [0x06, count('decr')],
  [0x07, quit],
  [0x08, flush],
  [0x09, read({ quiet: true })],
  [0x0a, noop],
  [0x0b, version],
  [0x0c, read({ withKey: true })],
  [0x0d, read({ withKey: true, quiet: true })],
  [0x10, stat],
  [0x11, quiet(store('set'))],
  [0x12, quiet(store('add'))],
  [0x13, quiet(store('replace'))],
  [0x14, quiet(remove)],
  [0x15, quiet(count('incr'))],
  [0x16, quiet(count('decr'))],
  [0x17, quiet(quit)],
  [0x18, quiet(flush)],
  [0x1c, read({ touch: true, withValue: false })],
  [0x1d, read({ touch: true })],
  [0x1e, read({ touch: true, quiet: true })],
  [0x23, read({ touch: true, withKey: true })],
  [0x24, read({ touch: true, withKey: true, quiet: true })],
])
