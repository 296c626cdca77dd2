import { type ErrorRequestHandler, type RequestHandler, Router } from 'express'
import { isCarried, readHealth, readOutage } from '../memcached/health.ts'
import { outageNotice } from '../pages/outage.ts'
import { browserList } from '../pages/panels/browsers.ts'
import { durableFacts } from '../pages/panels/durable.ts'
import { placeParts } from '../pages/panels/place.ts'
import { serverParts } from '../pages/panels/servers.ts'
import { isSignedIn } from '../session/data.ts'
import { loginsOf } from '../session/logins.ts'
import { onlyLook } from '../session/look.ts'
import { findPlace } from '../session/place.ts'
import type { Context } from './context.ts'
import { isOutage } from './errors.ts'

/**
 * News for pages that are open: where the session is and how its servers are. It answers in an outage,
 * too, so it comes before the app's own use of `sessions`.
 */
export function placeRoutes(context: Context, sessions: RequestHandler): Router {
  const outage: ErrorRequestHandler = async (error, req, res, next) => {
    if (!isOutage(error)) {
      next(error)
      return
    }
    onlyLook(req)
    const outage = await readOutage(error, context)
    const home = outage.away.length === 1 ? outage.away.map(({ stats }) => stats.address) : []
    res.send(`${outageNotice(outage)}${serverParts(outage, home)}`)
  }
  const news: RequestHandler = async (req, res) => {
    const { session, sessionID } = req
    onlyLook(req)
    res.set('Cache-Control', 'no-store')
    if (!isSignedIn(session)) {
      res.status(204).end()
      return
    }
    const [place, health, logins] = await Promise.all([
      findPlace(context, sessionID, session),
      readHealth(context),
      loginsOf(context.store, session.user),
    ])
    const browsers = browserList({ logins, sid: sessionID, browser: context.browsers.read(req) })
    const isCarrying = isCarried(health, place.holders)
    const notice = outageNotice(undefined, isCarrying ? health : undefined)
    const parts = [placeParts(place, isCarrying), browsers, serverParts(health, place.holders)]
    res.send(`${notice}${parts.join('')}${durableFacts(health.durable, isCarrying) || ''}`)
  }
  return Router().get('/place', sessions, news, outage)
}

/** Asked by the page of an outage: can sessions be read again? Answers 200 in any case. */
export function healthRoutes(context: Context, sessions: RequestHandler): Router {
  const well: RequestHandler = async (req, res) => {
    onlyLook(req)
    // For a visitor who has no session yet, none was read.
    const { servers, durable } = await readHealth(context)
    const well = servers.length === 0 || servers.some(({ stats }) => stats.reachable)
    res.json({ well: well || durable?.sessions !== undefined })
  }
  const unwell: ErrorRequestHandler = (_error, req, res, _next) => {
    onlyLook(req)
    res.json({ well: false })
  }
  return Router().get('/health', sessions, well, unwell)
}
