/** Traffic from a process of its own: gets its options as an argument, and tells its parent what came of it. */
import { setTimeout as pause } from 'node:timers/promises'
import { MemcachedStore } from '../../lib/index.ts'
import { type BackingPlace, connectBacking } from '../support/backing-stores.ts'

export interface TrafficOptions {
  readonly server: string
  readonly prefix: string
  readonly backing: BackingPlace
  readonly sids: readonly string[]
}

/** A change of a session that was acknowledged. Times are of `Date.now()`. */
export interface Edit {
  readonly sid: string
  readonly key: string
  readonly start: number
  readonly end: number
}

/** A read that failed, or found no session where there is one. */
export interface Miss {
  readonly sid: string
  readonly start: number
  readonly end: number
  readonly why: string
}

export interface Report {
  readonly reads: number
  readonly edits: readonly Edit[]
  readonly failedSaves: number
  readonly misses: readonly Miss[]
}

export type Message = { readonly done: number } | { readonly report: Report }

const VISITORS = 12

const { server, prefix, backing, sids } = JSON.parse(process.argv[2] as string) as TrafficOptions
const connected = await connectBacking(backing)
const store = new MemcachedStore({ servers: server, prefix, backing: connected.store })
const edits: Edit[] = []
const misses: Miss[] = []
let reads = 0
let failedSaves = 0
let number = 0
let isOver = false

/** One request after the other, each of another session. */
async function visit(): Promise<void> {
  while (!isOver) {
    const sid = sids[Math.floor(Math.random() * sids.length)] as string
    await request(sid)
    await pause(2)
  }
}

async function request(sid: string): Promise<void> {
  const start = Date.now()
  const session = await store.get(sid).catch((error: Error) => error)
  reads++
  if (session === null || session instanceof Error) {
    misses.push({ sid, start, end: Date.now(), why: session === null ? 'missing' : String(session) })
    return
  }
  if (Math.random() < 0.6) return
  const key = `${process.pid}-${number++}`
  try {
    await store.set(sid, Object.assign(session, { [key]: true }))
    edits.push({ sid, key, start, end: Date.now() })
  } catch {
    failedSaves++
  }
}

const tell = (message: Message): void => {
  process.send?.(message)
}
const telling = setInterval(() => tell({ done: edits.length }), 50)
process.on('disconnect', () => process.exit())
process.once('message', async () => {
  isOver = true
  await visitors
  clearInterval(telling)
  tell({ report: { reads, edits, failedSaves, misses } })
})
const visitors = Promise.all(Array.from({ length: VISITORS }, visit))
