/**
 * A program whose callbacks throw. Prints what it saw as JSON: how often each callback was called, and
 * what came as an uncaught exception; then ends by itself.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { MemcachedStore } from '../../lib/index.ts'
import { ownSession } from '../support/settle.ts'

const [address = '', fault = ''] = process.argv.slice(2)
// Where all is to go well, a busy machine gets time.
const timeout = fault === 'hung' ? 250 : 1000
const store = new MemcachedStore({
  servers: address,
  timeout,
  touchAfter: 0,
  onUnavailable: 'anonymous',
})
const uncaught: string[] = []
process.on('uncaughtException', error => uncaught.push((error as Error).message))

const calls: Record<string, number> = {}
function throwing(name: string): () => never {
  calls[name] = 0
  return () => {
    calls[name] = (calls[name] as number) + 1
    throw new Error(name)
  }
}

if (fault === 'listener') store.on('connect', throwing('connect'))
const others: Promise<unknown>[] = []
for (let turn = 0; turn < 5; turn++) {
  const sid = `throwing-${turn}`
  others.push(store.set(`${sid}-other`, ownSession(`${sid}-other`)).then(() => store.get(`${sid}-other`)))
  if (fault === 'listener') continue
  store.set(sid, ownSession(sid), throwing(`set ${turn}`))
  store.get(sid, throwing(`get ${turn}`))
  store.getMany([sid, `${sid}-other`], throwing(`getMany ${turn}`))
  store.touch(sid, ownSession(sid), throwing(`touch ${turn}`))
  store.destroy(sid, throwing(`destroy ${turn}`))
  store.set(sid, { cookie: null } as never, throwing(`bad ${turn}`))
}
const settled = await Promise.allSettled(others)
// Whoever delivers again does so by the deadline.
await sleep(timeout + 150)
await store.close()
store.get('closed', throwing('closed'))
await sleep(10)
const outcomes = settled.map(one => (one.status === 'fulfilled' ? one.value : String(one.reason.code)))
process.stdout.write(JSON.stringify({ calls, uncaught, outcomes }))
