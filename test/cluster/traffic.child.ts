/**
 * A process that changes sessions and logs some out, while its servers change as it is told. At the end it sends
 * what it has done and seen.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { MemcachedStore } from '../../lib/index.ts'
import { connectBacking } from '../support/backing-stores.ts'
import { counting, countOf, PREFIX } from './changing.ts'

/** What was done to a session, or seen of it. Times are of the machine's clock that never goes back. */
export interface Event {
  readonly sid: string
  readonly what: 'changed' | 'seen' | 'missing' | 'destroyed'
  readonly count: number
  readonly began: number
  readonly ended: number
}

/** What a parent says: servers, or that it is over. */
export type Order = readonly string[] | 'over'

const [name = '', first = '', known = '', redis = ''] = process.argv.slice(2)
let servers: readonly string[] = first.split(',')
let isOver = false
const sids = known.split(',')
const events: Event[] = []
const failures: string[] = []
const behind = redis === '' ? null : await connectBacking({ redis })
const store = new MemcachedStore({
  servers: () => servers,
  refresh: 0.1,
  prefix: PREFIX,
  timeout: 5000,
  ...(behind === null ? {} : { backing: behind.store }),
})

process.on('disconnect', () => process.exit())
process.on('message', (order: Order) => {
  if (order === 'over') isOver = true
  else servers = order
})
store.on('servers', () => process.send?.('changed'))

function now(): number {
  return Number(process.hrtime.bigint() / 1000n)
}

function pick(): string {
  return sids[Math.floor(Math.random() * sids.length)] as string
}

async function note(sid: string, what: (sid: string) => Promise<[Event['what'], number]>): Promise<void> {
  const began = now()
  try {
    const [seen, count] = await what(sid)
    events.push({ sid, what: seen, count, began, ended: now() })
  } catch (error) {
    failures.push(String(error))
  }
}

async function change(sid: string): Promise<[Event['what'], number]> {
  const session = await store.update(sid, found => counting((countOf(found) as number) + 1))
  return session === null ? ['missing', 0] : ['changed', countOf(session) as number]
}

async function look(sid: string): Promise<[Event['what'], number]> {
  const session = await store.get(sid)
  return session === null ? ['missing', 0] : ['seen', countOf(session) as number]
}

async function logOut(sid: string): Promise<[Event['what'], number]> {
  const session = await store.get(sid)
  if (session === null) return ['missing', 0]
  await store.destroy(sid)
  return ['destroyed', 0]
}

async function logIn(sid: string): Promise<[Event['what'], number]> {
  await store.set(sid, counting(0))
  return ['changed', 0]
}

async function visitor(number: number): Promise<void> {
  for (let turn = 0; !isOver; turn++) {
    if (turn % 40 === 39) {
      const sid = `${name}-${number}-${turn}`
      await note(sid, logIn)
      sids.push(sid)
    } else if (turn % 40 === 19) {
      await note(pick(), logOut)
    } else {
      await note(pick(), turn % 4 === 3 ? look : change)
    }
    await sleep(1)
  }
}

await Promise.all(Array.from({ length: 8 }, (_, number) => visitor(number)))
await store.close()
await behind?.[Symbol.asyncDispose]()
process.send?.({ events, failures }, () => process.disconnect())
