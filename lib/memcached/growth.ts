import { MemcachedStoreError } from '../errors.ts'
import { pause } from '../pause.ts'
import type { Target } from './exchange.ts'
import type { Statistics } from './statistics.ts'
import { readTextStatistics } from './text/text-statistics.ts'

/** Of items to the places of the hash table, beyond which it grows (assoc.c, `assoc_start_expand`). */
const MAX_LOAD = 1.5
/** Milliseconds. memcached looks once a second whether the table is to grow: who is not seen to by then does not. */
const MAX_WAIT = 3000
const PAUSE = 100

/**
 * Waits while the hash table of a server is about to grow, or grows. To walk it from that very moment on can end
 * memcached: its crawler has one of two locks and waits for the other, who lets the table grow has that and waits for
 * the first, and each further walk stops one of its threads, with all connections of that (crawler.c,
 * `item_crawl_hash`; assoc.c, `assoc_maintenance_thread`; seen on 1.6.18). Later versions say
 * `ERROR locked`.
 *
 * @param patience - until when a table may grow: a time of `performance.now()`.
 * @throws MemcachedStoreError - `ERR_TIMEOUT` where the server is silent. Any other failure is the walk's to tell.
 */
export async function untilGrown(target: Target, patience: number, signal: AbortSignal): Promise<void> {
  const due = performance.now() + MAX_WAIT
  for (;;) {
    const { general } = await ask(target, signal)
    const isGrowing = general.get('hash_is_expanding') === '1'
    if (!isGrowing && !isDue(general)) return
    if (performance.now() > (isGrowing ? patience : due)) return
    await pause(PAUSE)
  }
}

function isDue(general: Statistics['general']): boolean {
  const items = Number(general.get('curr_items'))
  const power = Number(general.get('hash_power_level'))
  // Not so where it tells none of them: another program.
  return items > MAX_LOAD * 2 ** power
}

async function ask(target: Target, signal: AbortSignal): Promise<Statistics> {
  try {
    return await readTextStatistics(target, signal)
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof MemcachedStoreError && error.code !== 'ERR_TIMEOUT') return NOTHING
    throw error
  }
}

const NOTHING: Statistics = { protocol: 'text', general: new Map(), settings: new Map(), roundTrip: 0 }
