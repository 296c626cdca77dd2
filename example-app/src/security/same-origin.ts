import type { NextFunction, Request, Response } from 'express'
import { PageError } from '../pages/page-error.ts'

/**
 * Protection against forged forms (CSRF): what changes something must come from a page of this app.
 * Browsers say where a request comes from in headers that scripts cannot set: `Sec-Fetch-Site` where
 * the connection is trusted (https, localhost), and `Origin` with every POST. No token is needed for
 * that, so it protects the sign-in form too, where there is no session to keep a token in. A request
 * with neither header was made by no browser, and carries nobody's cookies.
 *
 * `SameSite=Lax` on the session cookie says the same a second time.
 */
export function sameOrigin(req: Request, _res: Response, next: NextFunction): void {
  next(isSafe(req.method) || isOwn(req) ? undefined : new PageError(403, ...FORGED))
}

const FORGED = [
  'That came from somewhere else',
  'The form was sent by another site, so nothing was done. Go back to this app and send it from here.',
] as const

function isSafe(method: string): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS'
}

function isOwn(req: Request): boolean {
  const site = req.get('sec-fetch-site')
  if (site !== undefined) return site === 'same-origin' || site === 'none'
  const origin = req.get('origin')
  return origin === undefined || (URL.canParse(origin) && new URL(origin).host === req.get('host'))
}
