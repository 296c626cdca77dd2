import { afterEach, expect, test, vi } from 'vitest'
import { KeyedMutex } from '../../lib/locks/keyed-mutex.ts'

const SECOND = 1000

afterEach(() => {
  vi.useRealTimers()
})

test('lets those who want the same key in one after the other, in their order', async () => {
  const mutex = new KeyedMutex()
  const order: number[] = []
  const all = [1, 2, 3].map(async number => {
    expect(await mutex.acquire('a', SECOND)).toBe(true)
    order.push(number)
  })
  for (const [passed] of all.entries()) {
    await all[passed]
    expect(order).toEqual([1, 2, 3].slice(0, passed + 1))
    mutex.release('a')
  }
})

test('keeps nobody waiting who wants another key, or comes after the last', async () => {
  const mutex = new KeyedMutex()
  expect(await mutex.acquire('a', 0)).toBe(true)
  expect(await mutex.acquire('b', 0)).toBe(true)
  mutex.release('a')
  expect(await mutex.acquire('a', 0)).toBe(true)
})

test('sends away who has waited as long as he would, and passes him over', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const mutex = new KeyedMutex()
  await mutex.acquire('a', SECOND)
  const impatient = mutex.acquire('a', SECOND)
  const patient = mutex.acquire('a', 2 * SECOND)
  vi.advanceTimersByTime(SECOND)
  expect(await impatient).toBe(false)
  mutex.release('a')
  expect(await patient).toBe(true)
  expect(vi.getTimerCount()).toBe(0)
})

test('lets nobody in any more once it is closed', async () => {
  const mutex = new KeyedMutex()
  await mutex.acquire('a', SECOND)
  const waiting = [mutex.acquire('a', SECOND), mutex.acquire('a', SECOND)]
  mutex.close()
  expect(await Promise.all(waiting)).toEqual([false, false])
})
