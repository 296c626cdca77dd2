import { MemcachedStoreError } from '../errors.ts'
import { readBinaryStatistics } from './binary/binary-statistics.ts'
import type { Target } from './exchange.ts'
import type { Statistics } from './statistics.ts'
import { readTextStatistics } from './text/text-statistics.ts'

/**
 * Asks a server for its statistics and settings, over the binary protocol, or over text where it does not
 * understand that.
 *
 * @throws MemcachedStoreError - as requests of the store do.
 */
export async function readStatistics(target: Target, signal: AbortSignal): Promise<Statistics> {
  const { protocol } = target.address
  if (protocol === 'text') return readTextStatistics(target, signal)
  try {
    return await readBinaryStatistics(target, signal)
  } catch (error) {
    if (protocol === 'binary' || !isForeign(error)) throw error
    return readTextStatistics(target, signal).catch(() => {
      throw error
    })
  }
}

/** Servers answer with text, proxies hang up. */
function isForeign(error: unknown): boolean {
  return error instanceof MemcachedStoreError && /^ERR_(PROTOCOL|UNAVAILABLE)$/.test(error.code)
}
