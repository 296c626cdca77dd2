import type { Court } from './checks.ts'

/** Sections under one session's lock do not overlap, unless the one that lost it has been told. */
export function judgeSections({ history, servers, violations, exceptions }: Court): void {
  const { sections } = history
  for (const first of sections) {
    for (const second of sections) {
      if (first === second || first.sid !== second.sid) continue
      if (second.enter < first.enter || second.enter >= first.leave || first.lostAt <= second.enter) continue
      if (second.enter === first.enter && sections.indexOf(second) < sections.indexOf(first)) continue
      const isLockLost = servers.some(server =>
        [...server.changes].some(
          ([key, changes]) =>
            key.startsWith('sess:!') &&
            changes.some(
              ({ kind, time }) =>
                (kind === 'evicted' || kind === 'lost') && time >= first.enter - 3000 && time <= second.enter,
            ),
        ),
      )
      if (isLockLost)
        exceptions.push('a lock is lost by the server, and another takes it before its holder looks')
      else violations.push(`overlap: two sections of ${first.sid} at once, and nobody was told`)
    }
  }
}
