/** Goes through all sessions and prints how many there were, and by how many bytes the memory in use grew. */
import { MemcachedStore } from '../../lib/index.ts'

const [servers, prefix, how] = process.argv.slice(2)
const store = new MemcachedStore({ servers, prefix, timeout: 5000 })
await store.get('nobody')

function inUse(): number {
  // A buffer that one collection finds unused is freed beside the program; the next one waits for that.
  globalThis.gc?.()
  globalThis.gc?.()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

const before = inUse()
let peak = 0
let count = 0
if (how === 'all') {
  const sessions = await store.all()
  peak = inUse()
  count = sessions.length
} else {
  for await (const _ of store.sessions()) if (++count % 4000 === 0) peak = Math.max(peak, inUse())
}
process.stdout.write(JSON.stringify({ count, growth: peak - before }))
await store.close()
