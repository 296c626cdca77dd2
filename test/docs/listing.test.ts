import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { MemcachedStore } from '../../lib/index.ts'
import { createCounts } from '../../lib/operations/counts.ts'
import { checkUp, UpToDate } from '../doctor/run.ts'
import { fill, sidOf, stored } from '../listing/fill.ts'
import { hasMemcached } from '../support/memcached.ts'

const AsyncFunction = (async () => {}).constructor as FunctionConstructor

// Runs what docs/listing-and-doctor.md shows, as it stands there.
describe.skipIf(!hasMemcached)('docs/listing-and-doctor.md', () => {
  let text: string
  let server: UpToDate
  let store: MemcachedStore

  beforeAll(async () => {
    text = await readFile(new URL('../../docs/listing-and-doctor.md', import.meta.url), 'utf8')
    server = await UpToDate.start()
    store = new MemcachedStore({ servers: server.address, prefix: `docs-${randomUUID()}:` })
  })
  afterAll(async () => {
    await store.close()
    await server[Symbol.asyncDispose]()
  })

  /** The one block of this language that has this in it, run with a console of the test's own. */
  async function printed(part: string): Promise<unknown[][]> {
    const blocks = [...text.matchAll(/^```js\n(.*?)^```$/gms)].map(match => match[1] as string)
    const [block, ...others] = blocks.filter(code => code.includes(part))
    expect(others).toEqual([])
    const lines: unknown[][] = []
    const run = new AsyncFunction('store', 'console', block as string)
    await run(store, { log: (...words: unknown[]) => lines.push(words) })
    return lines
  }

  const session = (total: number): never => ({ cookie: { originalMaxAge: 60_000 }, cart: { total } }) as never

  test('all sessions', async () => {
    await store.set('poor', session(10))
    await store.set('rich', session(1001))
    await store.set('new', { cookie: { originalMaxAge: 60_000 } } as never)
    expect(await store.length()).toBe(3)
    expect(await printed('store.sessions()')).toEqual([['rich', { total: 1001 }]])
    expect(await store.length()).toBe(0)
  })

  test('how it does', async () => {
    const [line] = await printed('store.stats()')
    expect(line).toEqual([server.address, 0, 0, expect.any(Number)])
    const names = [...text.matchAll(/^\| `(\w+)` +\| \w/gm)].map(match => match[1])
    expect(names).toEqual(Object.keys(createCounts()))
  })

  test('the check-up prints what is shown', async () => {
    const shown = /^```text\n(.*?)^```$/ms.exec(text)?.[1] as string
    await using full = await UpToDate.start('-m', '2')
    await fill(full.memcached.address, 6000, number => [`sess:${sidOf(number)}`, stored(number)])
    await using reader = new MemcachedStore({ servers: full.address })
    await reader.get(sidOf(5999))
    const { output } = await checkUp(full.address)
    expect(inShape(output)).toBe(inShape(shown))
  })

  /** Numbers, units and the address differ from server to server. */
  function inShape(report: string): string {
    return report
      .replace(/^(localhost|[\d.]+):\d+$/m, 'server')
      .replace(/\d[\d.,]*( (days|h|min|s|KB|MB|bytes))?/g, 'N')
  }
})
