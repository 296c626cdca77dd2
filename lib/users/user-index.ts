/** One session in a user's index. */
export interface Entry {
  readonly sid: string
  /**
   * When it was listed: milliseconds by the clock of the process that did, moved on where needed, so that
   * an entry has a greater one than all before it.
   */
  readonly at: number
}

/** Which sessions are a user's, as it is stored: an entry says that a session may be the user's, not that it lives. */
export interface UserIndex {
  /** Milliseconds of Unix time until which it is kept. */
  readonly until: number
  /** {@link Entry.at} of the latest entry ever. */
  readonly last: number
  /** In the order in which they were listed. */
  readonly entries: readonly Entry[]
}

export const EMPTY: UserIndex = { until: 0, last: 0, entries: [] }

/** The index with this session at its end, kept until then at least. */
export function list(index: UserIndex, sid: string, until: number): UserIndex {
  const entries = index.entries.filter(entry => entry.sid !== sid)
  const at = Math.max(Date.now(), index.last + 1)
  return { until: Math.max(index.until, until), last: at, entries: [...entries, { sid, at }] }
}

export function isListed(index: UserIndex, sid: string): boolean {
  return index.entries.some(entry => entry.sid === sid)
}

/** An id appears once, so an entry is `sid, at` and no more. */
export function formatIndex({ until, last, entries }: UserIndex): string {
  return JSON.stringify({ until, last, sessions: entries.map(({ sid, at }) => [sid, at]) })
}

/** What {@link formatIndex} made; empty where it is something else. */
export function parseIndex(text: string): UserIndex {
  try {
    const { until, last, sessions } = JSON.parse(text) as Record<string, unknown>
    if (typeof until !== 'number' || typeof last !== 'number' || !Array.isArray(sessions)) return EMPTY
    return { until, last, entries: sessions.flatMap(toEntry) }
  } catch {
    return EMPTY
  }
}

function toEntry(value: unknown): Entry[] {
  if (!Array.isArray(value)) return []
  const [sid, at] = value as unknown[]
  return typeof sid === 'string' && typeof at === 'number' ? [{ sid, at }] : []
}
