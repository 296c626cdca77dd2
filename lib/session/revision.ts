import type { Version } from '../memcached/node.ts'

/**
 * What a request read, so that its save can be conditional: kept beside the session, found again
 * when the same session is saved.
 */
export class Revision {
  /** Key it was read under: a session saved under another id has no revision there. */
  readonly key: string
  /** The session as this request knows it: the base of its edits. */
  text: string
  /** Of what the server holds; null where it told none. Opaque here. */
  version: Version | null
  /** Does the server hold more than `text`? An earlier save of this request merged something in. */
  behind = false
  /** The stored cookie's date in milliseconds; undefined where it has none, NaN while nobody has looked. */
  expires: number | undefined = Number.NaN
  /** Whose session the stored one is; undefined where it is nobody's, or without the option `userOf`. */
  user: string | undefined

  constructor(key: string, text: string, version: Version | null, user?: string) {
    this.key = key
    this.text = text
    this.version = version
    this.user = user
  }
}

/** Returns what it is given, so that a class below it adds its private field to that very object. */
class Given {
  constructor(object: object) {
    // biome-ignore lint/correctness/noConstructorReturn: this is how a private field gets onto an object of another class
    return object
  }
}

/**
 * A private field on somebody else's object: no copy, enumeration, comparison or inspection sees it,
 * frozen objects take it, it dies with the session, and it costs 0.06 µs where a non-enumerable
 * symbol costs 0.2 and a WeakMap entry 0.3 or more.
 */
class Stamp extends Given {
  #revision: Revision | undefined

  private constructor(session: object, revision: Revision | undefined) {
    super(session)
    this.#revision = revision
  }

  static of(session: object): Revision | undefined {
    return #revision in session ? session.#revision : undefined
  }

  static set(session: object, revision: Revision | undefined): void {
    if (#revision in session) session.#revision = revision
    else new Stamp(session, revision)
  }
}

export function attachRevision(session: object, revision: Revision | undefined): void {
  Stamp.set(session, revision)
}

/** The revision of this session if it was read under this key. */
export function revisionOf(session: object, key: string): Revision | undefined {
  const revision = Stamp.of(session)
  return revision !== undefined && revision.key === key ? revision : undefined
}

/** Carries what was read from the stored session over to the live one, whose cookie has the date parsed. */
export function passRevision(stored: object, live: object, expires: number | undefined): void {
  const revision = Stamp.of(stored)
  if (revision !== undefined) revision.expires = expires
  Stamp.set(live, revision)
}
