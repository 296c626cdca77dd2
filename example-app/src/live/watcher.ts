import { createHash } from 'node:crypto'
import type { SessionData, Store } from 'express-session'
import { readStored } from '../session/access.ts'
import { isSignedIn } from '../session/data.ts'

/** What is new with a session: it changed, it ended, or its server does not answer. */
export type News =
  | { readonly kind: 'changed'; readonly revision: string }
  | { readonly kind: 'ended' | 'trouble' }

type Listener = (news: News) => void

interface Watched {
  readonly listeners: Set<Listener>
  looking: boolean
  again: boolean
}

const EVERY = 1000

/**
 * Watches the sessions of pages that are open. Whatever process a change was made in, it is noticed
 * within a second by one read per session, however many pages show it; and at once where this process
 * made it and calls `look`. Reading keeps no session alive: only visits do.
 */
export class Watcher {
  readonly #store: Store
  readonly #watched = new Map<string, Watched>()
  #timer: NodeJS.Timeout | undefined

  constructor(store: Store) {
    this.#store = store
  }

  /** Tells what is new compared with revision `seen`, from now until the function it gives is called. */
  watch(sid: string, seen: string, tell: (news: News) => void): () => void {
    const watched = this.#watched.get(sid) ?? { listeners: new Set(), looking: false, again: false }
    let last = `changed ${seen}`
    const listener: Listener = news => {
      const now = news.kind === 'changed' ? `changed ${news.revision}` : news.kind
      if (now === last) return
      last = now
      tell(news)
    }
    watched.listeners.add(listener)
    this.#watched.set(sid, watched)
    this.#timer ??= setInterval(() => this.#lookAtAll(), EVERY).unref()
    this.look(sid)
    return () => {
      watched.listeners.delete(listener)
      if (watched.listeners.size === 0) this.#watched.delete(sid)
      if (this.#watched.size > 0) return
      clearInterval(this.#timer)
      this.#timer = undefined
    }
  }

  /** Something may have changed. Costs nothing where no page shows this session. */
  look(sid: string): void {
    const watched = this.#watched.get(sid)
    if (watched === undefined) return
    watched.again = true
    if (!watched.looking) void this.#read(sid, watched)
  }

  #lookAtAll(): void {
    for (const [sid, watched] of this.#watched) if (!watched.looking) this.look(sid)
  }

  async #read(sid: string, watched: Watched): Promise<void> {
    watched.looking = true
    while (watched.again) {
      watched.again = false
      const news = await readStored(this.#store, sid).then(newsOf, (): News => ({ kind: 'trouble' }))
      for (const listener of watched.listeners) listener(news)
    }
    watched.looking = false
  }
}

function newsOf(session: SessionData | null): News {
  return isSignedIn(session) ? { kind: 'changed', revision: revisionOf(session) } : { kind: 'ended' }
}

/** The same for the same content; how long the session still lives is none of it. */
export function revisionOf(session: SessionData): string {
  const { user, values, edits, browsers } = session
  return createHash('sha256')
    .update(JSON.stringify([user, values, edits, browsers]))
    .digest('base64url')
    .slice(0, 16)
}
