import type { Request } from 'express'

/**
 * A request that only looks is no visit: express-session then neither refreshes the session's life nor
 * sends the cookie again. A page that asks for news by itself would keep a session alive for ever.
 */
export function onlyLook(req: Request): void {
  // Without its session a request has nothing to save; what is stored stays (option `unset`: 'keep').
  delete (req as Partial<Request>).session
}
