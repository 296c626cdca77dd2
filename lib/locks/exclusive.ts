import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Session, SessionData } from 'express-session'
import { asError, MemcachedStoreError } from '../errors.ts'
import { isTraced, type OperationTrace, traceTask } from '../tracing.ts'
import type { Lease } from './lease.ts'
import { type LockOptions, type LockSettings, readLockOptions } from './lock-options.ts'
import type { Locks } from './locks.ts'

declare global {
  namespace Express {
    interface Request {
      /** Of a request that runs under `store.exclusive()`: aborted when the session's lock was lost. */
      exclusive?: AbortSignal | undefined
    }
  }
}

/** A request that has passed express-session. */
export interface SessionRequest extends IncomingMessage {
  /** express-session's; undefined where it serves without sessions. */
  session?: (Session & Partial<SessionData>) | undefined
  /** The session's id. */
  sessionID?: string | undefined
  /** Under `store.exclusive()`: aborted when the session's lock was lost. */
  exclusive?: AbortSignal | undefined
}

/** Middleware for Express, and for whatever calls middleware as it does. */
export type ExclusiveMiddleware = (
  req: SessionRequest,
  res: ServerResponse,
  next: (error?: unknown) => void,
) => void

/** How often a response whose client has gone is looked at, in milliseconds: Node tells nothing of its end. */
const LOOK_AGAIN = 20

/** Was this session read from the store, or stored there? */
export type IsStored = (session: Session, sid: string) => boolean

/** See `MemcachedStore.exclusive`. */
export function exclusive(
  locks: Locks,
  isStored: IsStored,
  options: LockOptions | undefined,
): ExclusiveMiddleware {
  const settings = readLockOptions(options)
  const entrance: Entrance = { locks, isStored, settings }
  return (req, res, next) => {
    // What runs under the lock already need not wait for itself.
    if (req.exclusive !== undefined) {
      next()
      return
    }
    const entered = isTraced()
      ? traceTask('exclusive', locks.serverOf(req.sessionID), trace => enter(entrance, req, res, trace))
      : enter(entrance, req, res)
    entered.then(
      isIn => {
        if (isIn) process.nextTick(next)
      },
      (thrown: unknown) => {
        const error = asError(thrown)
        if (error instanceof MemcachedStoreError && error.status === 503 && !res.headersSent) {
          res.setHeader('Retry-After', Math.max(1, Math.ceil(settings.wait)))
        }
        process.nextTick(next, error)
      },
    )
  }
}

interface Entrance {
  readonly locks: Locks
  readonly isStored: IsStored
  readonly settings: LockSettings
}

/** False where nobody waits for the response any more. */
async function enter(
  { locks, isStored, settings }: Entrance,
  req: SessionRequest,
  res: ServerResponse,
  trace?: OperationTrace,
): Promise<boolean> {
  const sid = req.sessionID
  if (req.session === undefined || sid === undefined) {
    // express-session is missing, or serves without sessions: `onUnavailable: 'anonymous'`.
    throw new MemcachedStoreError(
      'ERR_UNAVAILABLE',
      'There is no session to lock: `req.session` is undefined',
    )
  }
  const lease = await locks.acquire(sid, settings, trace)
  if (res.closed || res.writableEnded) {
    await locks.release(sid, lease)
    return false
  }
  releaseAfter(res, settings, lease, () => locks.release(sid, lease))
  req.exclusive = lease.signal
  await refresh(req, isStored(req.session, sid))
  // Somebody else may be at work by now, and a signal that is aborted already would tell no listener.
  lease.signal.throwIfAborted()
  return true
}

/**
 * Frees the lock once the session has been saved: express-session saves in `res.end`, before the
 * response ends. Where the client goes earlier, Node tells only that the response was closed; its
 * handler may still be at work, and keeps the lock until it ends the response, or for one lease more.
 */
function releaseAfter(
  res: ServerResponse,
  { lease: seconds }: LockSettings,
  lease: Lease,
  free: () => Promise<void>,
): void {
  let freed: Promise<void> | undefined
  const freeOnce = (): Promise<void> => {
    freed ??= free()
    return freed
  }
  res.once('finish', freeOnce)
  res.once('close', () => {
    if (res.writableEnded) {
      void freeOnce()
      return
    }
    const end = performance.now() + seconds * 1000
    const timer = setInterval(() => {
      const isLate = performance.now() >= end
      if (!isLate && !res.writableEnded) return
      clearInterval(timer)
      void freeOnce().then(() => isLate && lease.lose())
    }, LOOK_AGAIN).unref()
  })
}

/** Makes `req.session` what is stored now, with what the request has changed in it so far. */
async function refresh(req: SessionRequest, isStored: boolean): Promise<void> {
  const session = req.session as Session
  if (isStored) await saved(session)
  const failure = await new Promise<unknown>(resolve => session.reload(resolve))
  if (failure instanceof MemcachedStoreError) throw failure
  if (failure === undefined || failure === null) {
    // express-session compares with what it loaded first when it decides whether to save; after a save, with that.
    await saved(req.session as Session)
  } else if (isStored) {
    // It says no more than "failed to load session". A handler must not go on for somebody who has logged out.
    throw new MemcachedStoreError('ERR_CONFLICT', 'The session ended while its request waited for the lock')
  }
}

function saved(session: Session): Promise<void> {
  return new Promise((resolve, reject) => {
    session.save((error: unknown) => (error == null ? resolve() : reject(error)))
  })
}
