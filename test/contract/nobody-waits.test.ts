import { fork } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, test } from 'vitest'
import { fewOrMany } from '../support/few-or-many.ts'
import { hasMemcached, Memcached } from '../support/memcached.ts'
import { programOf } from '../support/programs.ts'
import { CALLS } from './nobody-waits.calls.ts'

const child = programOf(new URL('nobody-waits.child.ts', import.meta.url))
const names = Object.keys(CALLS)
/** In a process each, so that none hides behind another's failure; or in one, which is cheaper. */
const processes: string[][] = fewOrMany(
  [['any of them', ...names]],
  names.map(name => [name, name]),
)

describe.skipIf(!hasMemcached).each([
  ['stopped', (memcached: Memcached) => memcached.freeze()],
  ['killed', (memcached: Memcached) => memcached.kill()],
])('a call that nobody waits for, memcached %s', (_, strike) => {
  test.each(processes)('%s does not end the process', async (_name, ...calls) => {
    await using memcached = await Memcached.start()
    const app = fork(child, [memcached.address, ...calls], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
    let complaint = ''
    app.stderr?.on('data', chunk => {
      complaint += chunk
    })
    const ended = once(app, 'close')
    await Promise.race([once(app, 'message'), ended])
    await strike(memcached)
    if (app.connected) app.send('struck')
    const [code] = await ended
    expect({ code, complaint }).toEqual({ code: 0, complaint: '' })
  })
})
