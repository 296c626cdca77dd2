import type { ErrorRequestHandler, NextFunction, Request, Response } from 'express'
import { type Outage, readOutage } from '../memcached/health.ts'
import { errorPage } from '../pages/error.ts'
import { whatIsAway } from '../pages/outage.ts'
import { PageError } from '../pages/page-error.ts'
import type { Context } from './context.ts'

export function notFound(_req: Request, _res: Response, next: NextFunction): void {
  next(new PageError(404, 'There is no such page', 'Everything this app has to show is on its first page.'))
}

/** Errors look like the rest of the app. Four parameters are what makes this one an error handler for Express. */
export function errorHandler(context: Context): ErrorRequestHandler {
  return async (error: unknown, _req, res, next) => {
    if (res.headersSent) {
      next(error)
      return
    }
    const outage = isOutage(error) ? await readOutage(error, context) : undefined
    const page = toPageError(error, outage)
    if (page.status === 500) console.error(error)
    if (page.status === 503) res.set('Retry-After', '2')
    res.status(page.status).send(errorPage(page, outage).source)
  }
}

/** No memcached answers, or not the one that is needed. */
export function isOutage(error: unknown): boolean {
  return (error as { status?: number }).status === 503
}

/** Errors of Express and of the store say which HTTP status fits them. */
function toPageError(error: unknown, outage: Outage | undefined): PageError {
  if (error instanceof PageError) return error
  const { status, code } = error as { status?: number; code?: string }
  if (outage !== undefined)
    return new PageError(
      503,
      whatIsAway(outage),
      outage.durable === undefined
        ? 'Your session is kept there, so this page cannot be shown just now. Nothing hangs and nothing is half done: it comes back by itself as soon as memcached does.'
        : 'This cannot be done without it just now. Nothing hangs and nothing is half done: go back, and try again when it answers.',
    )
  if (code === 'ERR_TOO_LARGE' || status === 413)
    return new PageError(
      413,
      'That is too much for one session',
      'Nothing was changed: what the session held before is still there. Go back and store something smaller.',
    )
  if (status !== undefined && status >= 400 && status < 500)
    return new PageError(status, 'That did not work', 'The app could not make sense of what was sent.')
  return new PageError(
    500,
    'Something broke',
    'This is a fault of the app. The terminal it runs in says more.',
  )
}
