/** A newcomer's program: nothing is set but the environment. Prints what it got, or ends with the error. */
import { MemcachedStore } from '../../lib/index.ts'
import { sessionOf } from '../contract/calls.ts'

const store = new MemcachedStore()
// The first request is the first that the server hears of us.
await store.set('newcomer', sessionOf({ n: 1 }))
await store.update('newcomer', session => Object.assign(session, { m: 2 }))
const found = await store.get('newcomer')
await store.destroy('newcomer')
const gone = await store.get('newcomer')
await store.close()
process.stdout.write(JSON.stringify({ found, gone }))
