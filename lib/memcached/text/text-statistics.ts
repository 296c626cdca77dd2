import { exchange, type Target } from '../exchange.ts'
import { garbage } from '../failures.ts'
import type { Statistics } from '../statistics.ts'
import { afterGreeting } from './after-greeting.ts'

/** All of them take some 7,000. */
const MAX_BYTES: number = 1024 * 1024
const STATISTIC = /^STAT (\S+) (.*)$/

/**
 * Asks a server for its statistics and settings over text. Proxies refuse that, and hang up: then it tells its
 * version only.
 */
export async function readTextStatistics(target: Target, signal: AbortSignal): Promise<Statistics> {
  const general = new Map<string, string>()
  const settings = new Map<string, string>()
  const { name } = target.address
  let group = general
  let text = ''
  let sent = 0
  let roundTrip = 0
  const greeted = (version: string): void => {
    roundTrip = performance.now() - sent
    general.set('version', version)
  }
  const conversation = afterGreeting(target.address, 'stats\r\n', greeted, (bytes, send) => {
    text += bytes.toString('latin1')
    if (text.length > MAX_BYTES) throw garbage(name)
    const lines = text.split('\r\n')
    text = lines.pop() ?? ''
    for (const line of lines) {
      const [, key, value] = STATISTIC.exec(line) ?? []
      if (key !== undefined && value !== undefined) {
        group.set(key, value.replace(/[^\x20-\x7e]/g, '?'))
      } else if (group === settings || line !== 'END') {
        return true
      } else {
        group = settings
        send('stats settings\r\n')
      }
    }
    return false
  })
  const started = (): Buffer => {
    sent = performance.now()
    return conversation.opening
  }
  try {
    await exchange(target, started, (bytes, send) => conversation.take(bytes, send), signal)
  } catch (error) {
    signal.throwIfAborted()
    // It answered, and then hung up.
    if (!general.has('version')) throw error
  }
  return { protocol: 'text', general, settings, roundTrip }
}
