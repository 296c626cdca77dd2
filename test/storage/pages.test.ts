import { describe, expect, test } from 'vitest'
import type { MemcachedNode } from '../../lib/memcached/node.ts'
import type { ListedItem, WalkOptions } from '../../lib/memcached/walk.ts'
import { type Choose, pages } from '../../lib/storage/pages.ts'
import { sidOf } from '../listing/fill.ts'
import { fewOrMany } from '../support/few-or-many.ts'

const COUNT = fewOrMany(4_000, 10_000)
const keys: string[] = Array.from({ length: COUNT }, (_, number) => `sess:${sidOf(number)}`)

/** A server that lists these keys. */
function serverOf(listed: () => Iterable<string>): { node: MemcachedNode; walks: () => number } {
  let walks = 0
  const walk = async ({ take }: WalkOptions): Promise<void> => {
    walks++
    for (const key of listed()) take({ key, expires: Infinity, size: 300 })
  }
  return { node: { walk } as MemcachedNode, walks: () => walks }
}

async function collect(
  node: MemcachedNode,
  mostKeys: number,
  choose: Choose = () => true,
): Promise<string[][]> {
  const found: string[][] = []
  const { signal } = new AbortController()
  const keysOf = (page: ListedItem[]): string[] => page.map(({ key }) => key)
  for await (const page of pages(node, 'sess:', choose, signal, mostKeys)) found.push(keysOf(page))
  return found
}

const shuffled = (): string[] => [...keys].sort(() => Math.random() - 0.5)

describe('keys in pages', () => {
  test.each([10, 100, 3000, COUNT - 1])('each exactly once, and %d at most at a time', async mostKeys => {
    const { node, walks } = serverOf(() => keys)
    const found = await collect(node, mostKeys)
    expect(Math.max(...found.map(page => page.length))).toBeLessThanOrEqual(mostKeys)
    expect(found.flat().sort()).toEqual(keys)
    expect(walks()).toBe(found.length)
    // A part is half full or more, but for bad luck.
    if (mostKeys >= 100) expect(walks()).toBeLessThanOrEqual(Math.ceil((COUNT / mostKeys) * 4))
  })

  test('one walk where they fit', async () => {
    const { node, walks } = serverOf(() => keys)
    expect(await collect(node, COUNT)).toHaveLength(1)
    expect(walks()).toBe(1)
  })

  test('in whatever order each walk gives them', async () => {
    const found = await collect(serverOf(shuffled).node, 500)
    expect(found.flat().sort()).toEqual(keys)
  })

  test('the first walk asks about every key, however few are held', async () => {
    const used: string[] = []
    const isHeld = (key: string): boolean => /[01]$/.test(key)
    const choose: Choose = ({ key }, isFirst) => {
      if (isHeld(key)) return true
      if (isFirst) used.push(key)
      return false
    }
    const found = await collect(serverOf(shuffled).node, 100, choose)
    expect(found.length).toBeGreaterThan(10)
    expect([...used, ...found.flat()].sort()).toEqual(keys)
  })

  test('keys that come and go meanwhile do not disturb the others', async () => {
    let count = 0
    const passing = (): string[] => Array.from({ length: 3000 }, () => `sess:${count++}`)
    const found = (await collect(serverOf(() => [...shuffled(), ...passing()]).node, 500)).flat()
    expect(found.filter(key => key.startsWith('sess:sid-')).sort()).toEqual(keys)
    expect(new Set(found).size).toBe(found.length)
  })

  test('nothing', async () => {
    expect(await collect(serverOf(() => []).node, 10)).toEqual([[]])
  })
})
