import session, { type SessionData } from 'express-session'

/**
 * A store for a second use of `session()` in one process. express-session puts its `generate`, with the
 * cookie's settings, on the store it is given, and listens to it: on the store itself, new sessions of
 * the app would from then on have the settings of the second use.
 */
export class GuestStore extends session.Store {
  readonly #store: session.Store

  constructor(store: session.Store) {
    super()
    this.#store = store
  }

  override get(...args: Parameters<session.Store['get']>): void {
    this.#store.get(...args)
  }

  override set(...args: Parameters<session.Store['set']>): void {
    this.#store.set(...args)
  }

  override destroy(...args: Parameters<session.Store['destroy']>): void {
    this.#store.destroy(...args)
  }

  /** The store's own: that is where what was read meets what will be saved. */
  override createSession(
    req: Parameters<session.Store['createSession']>[0],
    stored: SessionData,
  ): session.Session & SessionData {
    return this.#store.createSession(req, stored)
  }
}
