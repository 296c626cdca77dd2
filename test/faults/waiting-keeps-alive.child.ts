/** A program that does nothing but wait for a server that has gone. Prints how that ended, as JSON. */
import { MemcachedStore } from '../../lib/index.ts'

const [servers = ''] = process.argv.slice(2)
const store = new MemcachedStore({ servers, timeout: 300 })
const first = await outcome(store.get('first'))
const second = await outcome(store.get('second'))
process.stdout.write(JSON.stringify([first, second]))

async function outcome(result: Promise<unknown>): Promise<unknown> {
  return result.then(
    () => 'ok',
    error => error.code,
  )
}
