import { NOT_FOUND, type Reply } from '../memcached/reply.ts'
import { SessionRecord } from './record.ts'

/*
 * Flags of a stored item. Plain JSON has 0, so that other languages read it as it is. Ours are high
 * bits: the low ones are used by other clients for types of their own languages.
 */
/**
 * A destroyed session: the id stays refused until the item expires. The value is one byte at least, since
 * not every engine takes less, and may say since when logins are refused. Empty ones of before count, too.
 */
export const TOMBSTONE = 0x0001_0000
/** The key is a hash; the value begins with the id as a JSON string and a newline. */
export const NAMED = 0x0002_0000

/** What a reply to a read holds. */
export function recordIn(reply: Reply): SessionRecord {
  if (reply.status === NOT_FOUND) return SessionRecord.MISSING
  const { flags, version } = reply
  if (flags === 0) return new SessionRecord('stored', reply.text, version)
  if ((flags & TOMBSTONE) !== 0) return new SessionRecord('destroyed', reply.text, version)
  const text = (flags & NAMED) === 0 ? reply.text : splitName(reply.text)?.text
  return text === undefined
    ? new SessionRecord('corrupt', '', version)
    : new SessionRecord('stored', text, version)
}

export function addName(sid: string, text: string): string {
  return `${JSON.stringify(sid)}\n${text}`
}

/** Splits what {@link addName} made; null where it is something else. */
export function splitName(value: string): { sid: string; text: string } | null {
  const end = value.indexOf('\n')
  if (end === -1) return null
  try {
    const sid: unknown = JSON.parse(value.slice(0, end))
    return typeof sid === 'string' ? { sid, text: value.slice(end + 1) } : null
  } catch {
    return null
  }
}
