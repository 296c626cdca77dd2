import { setTimeout as sleep } from 'node:timers/promises'

/** Polls until `probe` gives something truthy, and gives that. A throw of `probe` ends it at once. */
export async function until<T>(probe: () => T | Promise<T>, limit = 10_000): Promise<NonNullable<T>> {
  const end = Date.now() + limit
  for (;;) {
    const found = await probe()
    if (found) return found as NonNullable<T>
    if (Date.now() > end) throw new Error(`Not so after ${limit} ms: ${probe}`)
    await sleep(5)
  }
}
