import type { SessionData } from 'express-session'
import type { Settings } from '../options.ts'

/**
 * Whose session this is; undefined where it is nobody's, or without the option `userOf`.
 *
 * @throws TypeError - where `userOf` gives something else than a string; and whatever it throws itself.
 */
export function userOf(settings: Settings, session: SessionData): string | undefined {
  if (settings.userOf === undefined) return undefined
  const user: unknown = settings.userOf(session)
  if (typeof user === 'string') return user
  if (user === undefined || user === null) return undefined
  throw new TypeError(`Expected \`userOf\` to return a string or undefined, got (${typeof user})`)
}

/** The same of a session that was read: one that the option cannot take is nobody's. */
export function knownUser(settings: Settings, session: SessionData): string | undefined {
  if (settings.userOf === undefined) return undefined
  try {
    return userOf(settings, session)
  } catch {
    return undefined
  }
}
