import { expect, test, vi } from 'vitest'
import { type Debt, Debts } from '../../lib/backing/debts.ts'

const changed: Debt = { kind: 'changed' }

/** Debts that are paid one by one when the test says so. */
function create(): { debts: Debts; paid: string[]; state: { isAway: boolean } } {
  const paid: string[] = []
  const state = { isAway: true }
  const debts = new Debts(async id => {
    if (state.isAway) throw new Error('away')
    paid.push(id)
  })
  return { debts, paid, state }
}

test('what memcached must not be asked for is barred until it is paid', async () => {
  const { debts, paid, state } = create()
  debts.owe('a', changed)
  debts.owe('b', { kind: 'behind' })
  expect([debts.bars('a'), debts.bars('b'), debts.bars('c')]).toEqual([true, false, false])
  await expect(debts.pay('a')).rejects.toThrow('away')
  expect(debts.bars('a')).toBe(true)
  state.isAway = false
  await debts.pay('a')
  expect(debts.bars('a')).toBe(false)
  expect(paid).toEqual(['a'])
  debts.close()
})

test('a debt that is made while another is paid stays', async () => {
  let finish = (): void => {}
  const debts = new Debts(() => new Promise(resolve => (finish = resolve)))
  debts.owe('a', changed)
  const payment = debts.pay('a')
  debts.owe('a', { kind: 'destroyed', revokedAt: '' })
  finish()
  await payment
  expect(debts.bars('a')).toBe(true)
  debts.close()
})

test('100,000 sessions are remembered; beyond that a change fails', () => {
  const { debts } = create()
  for (let number = 0; number < 100_000; number++) debts.owe(`${number}`, changed)
  expect(() => debts.owe('one more', changed)).toThrow(
    expect.objectContaining({ code: 'ERR_UNAVAILABLE', status: 503 }),
  )
  debts.owe('7', changed)
  // Nobody waits for this one.
  debts.owe('one more', { kind: 'behind' })
  expect(debts.of('one more')).toBeUndefined()
  debts.close()
})

test('all are paid in the background, as soon as they can be, within a second of each try', async () => {
  vi.useFakeTimers()
  try {
    const { debts, paid, state } = create()
    for (let number = 0; number < 200; number++) debts.owe(`${number}`, changed)
    await vi.advanceTimersByTimeAsync(3000)
    expect(paid).toEqual([])
    state.isAway = false
    await vi.advanceTimersByTimeAsync(1000)
    expect(paid).toHaveLength(200)
    expect(vi.getTimerCount()).toBe(0)
    debts.close()
  } finally {
    vi.useRealTimers()
  }
})
