/** A program that uses a store and closes it. Prints what is left in the process as JSON, then ends by itself. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { MemcachedStore } from '../../lib/index.ts'

const [servers = '', when = '', options = '{}'] = process.argv.slice(2)
const before = resources()
const list = servers.split(',')
let asked = 0
// With each answer another one leaves, and comes back with the next.
const changing = {
  servers(): string[] {
    const leaves = asked++ % list.length
    return list.filter((_, index) => index !== leaves)
  },
  refresh: 0.01,
}
const source = when.startsWith('changing') ? changing : { servers }
const store = new MemcachedStore({ ...source, ...JSON.parse(options) })
const session = { cookie: { originalMaxAge: null } } as never
const operations: Promise<unknown>[] = []

if (when !== 'unused') {
  for (let turn = 0; turn < 20; turn++)
    operations.push(store.set(`left-${turn}`, session), store.get(`left-${turn}`))
}
// Whatever they come to, it is looked at below.
const settled = Promise.allSettled(operations)
if (when.startsWith('changing')) {
  const awake = setInterval(() => {}, 1000)
  for (let change = 0; change < 5; change++) {
    await new Promise(resolve => store.once('servers', resolve))
    await Promise.all([store.set(`left-${change}`, session), store.destroy(`left-${change + 10}`)])
  }
  clearInterval(awake)
}
if (!when.startsWith('in flight')) await settled
if (!when.endsWith('never closed')) {
  await (when === 'in flight, twice' ? Promise.all([store.close(), store.close()]) : store.close())
  // The deadlines of what was in flight have ended, too.
  await settled
  await nextTurn()
  await nextTurn()
}
const late = await (when.endsWith('never closed') ? undefined : store.get('late').catch(({ code }) => code))
const outcomes = (await settled).map(one => (one.status === 'fulfilled' ? 'ok' : one.reason.code))
process.stdout.write(
  JSON.stringify({ left: difference(resources(), before), late, outcomes: [...new Set(outcomes)] }),
)

function resources(): string[] {
  // Standard output and the loader's own are not ours.
  return process
    .getActiveResourcesInfo()
    .filter(name => !/Pipe|TTY|Message|FSReq|Immediate|CloseReq/.test(name))
}

function difference(all: string[], known: string[]): string[] {
  const rest = [...known]
  return all.filter(name => {
    const at = rest.indexOf(name)
    if (at === -1) return true
    rest.splice(at, 1)
    return false
  })
}
