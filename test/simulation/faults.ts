import type { SimulatedDatabase } from './backing.ts'
import type { Fault } from './plan.ts'
import { NOBODY, type SimulatedServer } from './server.ts'
import type { Story } from './story.ts'
import type { Clock, VirtualTime } from './virtual-time.ts'

/** Lets a fault happen, now. */
export function strike(
  fault: Fault,
  time: VirtualTime,
  servers: readonly SimulatedServer[],
  clocks: readonly Clock[],
  database: SimulatedDatabase,
  story: Story | undefined,
): void {
  story?.fault(fault)
  if (fault.fault === 'clock') {
    const clock = clocks[fault.process]
    if (clock !== undefined) clock.skew += fault.by
    return
  }
  const flush = (): void => {
    for (const server of servers) for (const key of server.keys) server.evict(key)
  }
  switch (fault.fault) {
    case 'flush':
      flush()
      return
    case 'flush at a change':
      database.onChange = flush
      return
    case 'backing down':
      database.stop(fault.lasts)
      return
    case 'backing hangs':
      database.hang(fault.lasts)
      return
    case 'backing fails':
      database.spoiling = { when: fault.when, calls: fault.calls }
      database.trouble(Number.POSITIVE_INFINITY)
      return
  }
  if (fault.fault === 'evict') {
    const items = servers.flatMap(server => server.keys.map(key => ({ server, key })))
    const item = items[fault.pick % items.length]
    item?.server.evict(item.key)
    return
  }
  const server = servers[fault.server]
  if (server === undefined) return
  if (fault.fault === 'cut') {
    server.trap = fault
  } else if (fault.fault === 'freeze') {
    if (!server.isUp) return
    server.freeze()
    time.after(fault.lasts, NOBODY, () => server.thaw())
  } else {
    server.stop(fault.isWarm)
    time.after(fault.away, NOBODY, () => server.start())
  }
}
