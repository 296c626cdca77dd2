import { type Request, type Response, Router } from 'express'
import { revisionOf } from '../live/watcher.ts'
import { readHealth } from '../memcached/health.ts'
import type { View } from '../pages/home.ts'
import { homePage } from '../pages/home.ts'
import { signInPage } from '../pages/sign-in.ts'
import { isSignedIn, type SignedIn } from '../session/data.ts'
import { loginsOf } from '../session/logins.ts'
import { onlyLook } from '../session/look.ts'
import { findPlace } from '../session/place.ts'
import type { Context } from './context.ts'

const ENDED = 'Your session has ended: it was signed out from another browser, or it is not stored any more.'
const SIGNED_OUT = 'Signed out. The session is deleted: its cookie opens nothing any more.'

export function homeRoutes(context: Context): Router {
  return Router().get('/', async (req, res) => {
    const { session } = req
    if (!isSignedIn(session)) {
      // A cookie whose session is not there any more: say why. It stays until the next sign-in, because
      // a page may come here twice at once, and the second time is what is seen.
      const notice = /(^|;\s*)session=/.test(req.get('cookie') ?? '')
        ? ENDED
        : 'signed-out' in req.query
          ? SIGNED_OUT
          : undefined
      res.send(signInPage({ notice, isNew: true, isBacked: context.durable !== undefined }).source)
      return
    }
    const { edit } = req.query
    // The page's script asks by itself when something changed elsewhere.
    if (req.get('x-look') !== undefined) onlyLook(req)
    await showHome(context, req, res, session, typeof edit === 'string' ? { editing: edit } : {})
  })
}

/** The page of somebody who is signed in, and what it is to show beside the session. */
export async function showHome(
  context: Context,
  req: Request,
  res: Response,
  session: SignedIn,
  state: Pick<View, 'deleted' | 'draft' | 'editing' | 'invitation' | 'signedOut'> = {},
): Promise<void> {
  const sid = req.sessionID
  const [place, health, logins] = await Promise.all([
    findPlace(context, sid, session),
    readHealth(context),
    loginsOf(context.store, session.user),
  ])
  const view: View = {
    ...state,
    session,
    sid,
    revision: revisionOf(session),
    browser: context.browsers.read(req),
    place,
    health,
    description: context.servers?.description,
    logins,
    overlap: context.proof.last,
    canInvite: context.codes !== undefined,
  }
  res.send(homePage(view).source)
}
