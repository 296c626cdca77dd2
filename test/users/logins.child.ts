/** A process of its own that logs one user in again and again, many at once, each time it is told to. */
import { randomUUID } from 'node:crypto'
import { MemcachedStore } from '../../lib/index.ts'
import { SEALING } from '../support/sealing.ts'
import { sessionOf, userOf } from './people.ts'

const [servers, prefix] = process.argv.slice(2) as [string, string]
const store = new MemcachedStore({ ...SEALING, servers, prefix, userOf })
await store.get('warm')

process.on('message', async ({ user, count }: { user: string; count: number }) => {
  const sids = Array.from({ length: count }, () => randomUUID())
  await Promise.all(sids.map(sid => store.set(sid, sessionOf(user))))
  process.send?.({ sids })
})
process.on('disconnect', () => process.exit())
process.send?.({ sids: [] })
