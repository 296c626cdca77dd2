/** What this app keeps in a session. In memcached it is plain JSON, as the page shows it. */
import type { SessionData } from 'express-session'

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json }

/** A browser that takes part in a session. */
export interface Browser {
  /** "Firefox on Linux". */
  readonly name: string
  readonly colour: Colour
}

/** What happened to a key last. */
interface Edit {
  /** Id of the browser. */
  readonly by: string
  /** Milliseconds since 1970. */
  readonly at: number
  readonly deleted?: true
}

declare module 'express-session' {
  interface SessionData {
    user?: string
    /** What the visitor put in: the dict. */
    values?: Record<string, Json>
    /** Who changed which key, and when; deletions for a while. */
    edits?: Record<string, Edit>
    /** By browser id. */
    browsers?: Record<string, Browser>
  }
}

/** A session after sign-in. */
export type SignedIn = SessionData & Required<Pick<SessionData, 'user' | 'values' | 'edits' | 'browsers'>>

export function isSignedIn(session: Partial<SessionData> | null | undefined): session is SignedIn {
  return session?.user !== undefined && session.values !== undefined
}

/** Browsers are told apart by colour where their names are not at hand. */
const COLOURS = ['amber', 'teal', 'violet', 'rose', 'sky', 'lime', 'coral', 'indigo'] as const
export type Colour = (typeof COLOURS)[number]

/** The first colour that nobody has; from the start again when all are taken. */
export function freeColour(browsers: Iterable<Browser>): Colour {
  const taken = Array.from(browsers, browser => browser.colour)
  const uses = (colour: Colour): number => taken.filter(other => other === colour).length
  return COLOURS.reduce((best, colour) => (uses(colour) < uses(best) ? colour : best))
}

const LONGEST_KEY = 100
/** How long a deletion is remembered, so that other browsers can say who did it. */
const DELETION_MEMORY = 60_000

/** Why a key cannot be used; undefined where it can. */
export function keyProblem(key: string): string | undefined {
  if (key === '') return 'A key is missing: what should the value be called?'
  if (key.length > LONGEST_KEY)
    return `A key has at most ${LONGEST_KEY} characters; this one has ${key.length}.`
  // The one name that is no ordinary property of a JavaScript object.
  if (key === '__proto__') return 'Of all names, __proto__ is the one that JavaScript keeps for itself.'
  return undefined
}

export function storedValue(session: SignedIn, key: string): Json | undefined {
  return Object.hasOwn(session.values, key) ? session.values[key] : undefined
}

/** A value as forms carry it, to find out whether it has changed since. */
export function snapshot(value: Json | undefined): string {
  return value === undefined ? 'nothing' : JSON.stringify(value)
}

export function putValue(session: SignedIn, key: string, value: Json, by: string): void {
  session.values[key] = value
  session.edits[key] = { by, at: Date.now() }
}

export function deleteValue(session: SignedIn, key: string, by: string): void {
  if (!Object.hasOwn(session.values, key)) return
  const now = Date.now()
  delete session.values[key]
  for (const [other, edit] of Object.entries(session.edits)) {
    if (edit.deleted && now - edit.at > DELETION_MEMORY) delete session.edits[other]
  }
  session.edits[key] = { by, at: now, deleted: true }
}
