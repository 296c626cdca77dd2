/** A process of its own that takes a lock, tells so, and never lets it go. */
import { MemcachedStore } from '../../lib/index.ts'
import { SEALING } from '../support/sealing.ts'

const [servers, prefix, sid] = process.argv.slice(2) as [string, string, string]
const store = new MemcachedStore({ ...SEALING, servers, prefix })
await store.withLock(
  sid,
  () => {
    process.send?.('held')
    return new Promise(() => setInterval(() => {}, 1000))
  },
  { lease: 3 },
)
