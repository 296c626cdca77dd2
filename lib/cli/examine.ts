import { Ring } from '../cluster/ring.ts'
import type { ServerAddress } from '../memcached/address.ts'
import { Inspector } from '../memcached/inspector.ts'
import type { Statistics } from '../memcached/statistics.ts'
import { Keys } from '../storage/keys.ts'
import { MAX_TOMBSTONE } from '../storage/limits.ts'
import type { Examined, ListedSessions } from './examination.ts'
import { Progress, type Terminal } from './progress.ts'

export interface ExamineOptions {
  readonly addresses: readonly ServerAddress[]
  /** Of the sessions' keys. */
  readonly prefix: string
  /** Milliseconds that a server may take for an answer. */
  readonly timeout: number
}

/** What a server said of itself, and when. */
interface Answer {
  readonly statistics: Statistics
  readonly clock: number
}

/**
 * Looks at all servers at once, each in the same way: first what they tell of themselves, so that no list of keys
 * delays an answer by which clocks are compared; then their keys.
 *
 * @param terminal - where progress is shown, if it is one.
 */
export async function examine(options: ExamineOptions, terminal: Terminal): Promise<Examined[]> {
  const { addresses, prefix, timeout } = options
  const isHome = homes(addresses)
  const inspectors = addresses.map(address => new Inspector({ address, tls: undefined, timeout }))
  const progress = new Progress(
    terminal,
    addresses.length === 1 ? (addresses[0] as ServerAddress).name : `${addresses.length} servers`,
  )
  const answers = await Promise.all(inspectors.map(inspector => ask(inspector).catch(asReason)))
  const examined = answers.map(async (answer, index): Promise<Examined> => {
    const address = (addresses[index] as ServerAddress).name
    if (answer instanceof Error) return { address, examination: answer }
    const listed = list(inspectors[index] as Inspector, prefix, key => isHome(index, key), progress)
    return { address, examination: { ...answer, sessions: await listed.catch(asReason) } }
  })
  try {
    return await Promise.all(examined)
  } finally {
    progress.end()
  }
}

/** Is this the server on which `get` looks for a key? */
function homes(addresses: readonly ServerAddress[]): (index: number, key: string) => boolean {
  if (addresses.length < 2) return () => true
  const ring = new Ring(addresses.map(({ name }) => name))
  return (index, key) => ring.home(key) === index
}

async function ask(inspector: Inspector): Promise<Answer> {
  const statistics = await inspector.statistics()
  const time = Number(statistics.general.get('time') ?? Number.NaN)
  return { statistics, clock: Math.round(time - Date.now() / 1000) }
}

async function list(
  inspector: Inspector,
  prefix: string,
  isHome: (key: string) => boolean,
  progress: Progress,
): Promise<ListedSessions> {
  const ids = new Keys(prefix)
  const found = { keys: 0, largest: 0, misplaced: 0 }
  await inspector.walk({
    prefix,
    take({ key, size }) {
      if (!ids.isSession(key)) return
      found.keys++
      if (size > found.largest) found.largest = size
      // Tombstones are left where a session lay before, so that it does not come back.
      if (!isHome(key) && size > key.length + MAX_TOMBSTONE) found.misplaced++
    },
    progress: passed => progress.add(passed),
    signal: new AbortController().signal,
  })
  return found
}

function asReason(thrown: unknown): Error {
  return thrown as Error
}
