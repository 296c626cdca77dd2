import session, { type SessionData, type Store } from 'express-session'

/** Makes a store on the same sessions each time. One that has `close` is closed by the contract. */
export type CreateStore = () => Store | Promise<Store>

export type Data = SessionData & Record<string, unknown>

type NodeCallback<T> = (error?: unknown, value?: T | null) => void

/** Calls a method with a callback, as express-session does, and gives what the callback got. */
export function called<T = void>(start: (done: NodeCallback<T>) => void): Promise<T | null | undefined> {
  return new Promise((resolve, reject) => {
    start((error, value) => {
      if (error) reject(error)
      else resolve(value)
    })
  })
}

export async function close(store: Store): Promise<void> {
  if ('close' in store && typeof store.close === 'function') await store.close()
}

/** A session as express-session makes them, with an expiry if a life in milliseconds is given. */
export function sessionOf(data: Record<string, unknown> = {}, maxAge?: number): Data {
  const cookie = new session.Cookie()
  if (maxAge !== undefined) {
    cookie.maxAge = maxAge
    // It reads the clock twice, and may find a millisecond gone.
    cookie.originalMaxAge = maxAge
  }
  return { cookie, ...data } as unknown as Data
}
