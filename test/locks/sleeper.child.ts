/** A process of its own that takes a lock, tells so, and lets it go when it is told to; then it tells how that went. */
import { once } from 'node:events'
import { MemcachedStore } from '../../lib/index.ts'
import { SEALING } from '../support/sealing.ts'

const [servers, prefix, sid] = process.argv.slice(2) as [string, string, string]
const store = new MemcachedStore({ ...SEALING, servers, prefix })
process.on('disconnect', () => process.exit())
const outcome = await store
  .withLock(
    sid,
    async () => {
      process.send?.('held')
      await once(process, 'message')
    },
    { lease: 2 },
  )
  .then(
    () => 'kept',
    error => error.code,
  )
process.send?.(outcome)
