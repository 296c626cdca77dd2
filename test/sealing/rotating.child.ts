/** A process of its own that counts one up in each session, again and again, until it is told to stop. */
import type { SessionData } from 'express-session'
import { MemcachedStore } from '../../lib/index.ts'
import { EVERYTHING } from './everything.ts'

interface Task {
  readonly servers: string
  readonly prefix: string
  readonly encryptionKeys: string[]
  readonly sids: string[]
}

const { sids, ...options } = JSON.parse(process.argv[2] as string) as Task
const store = new MemcachedStore({ ...EVERYTHING, ...options, timeout: 5000 })
let isRunning = true
let counted = 0
/** Sessions that were not there. */
let missed = 0

process.on('disconnect', () => process.exit())
process.on('message', () => {
  isRunning = false
})

const count = (session: SessionData): void => {
  const counter = session as SessionData & { count?: number }
  counter.count = (counter.count ?? 0) + 1
}

do {
  for (const sid of sids) {
    if ((await store.get(sid)) === null) missed++
    if ((await store.update(sid, count)) === null) missed++
    else counted++
  }
  process.send?.({ counted, missed, isOver: !isRunning })
} while (isRunning)
await store.close()
process.disconnect()
