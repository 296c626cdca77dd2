import { Router } from 'express'
import { namesIn } from '../pages/panels/browsers.ts'
import { destroyStored } from '../session/access.ts'
import { isSignedIn } from '../session/data.ts'
import { endOtherLogins, handleOf, loginsOf } from '../session/logins.ts'
import type { Context } from './context.ts'
import { showHome } from './home.ts'
import { field } from './sign-in.ts'

/** Ending sessions of the same user that are open elsewhere. */
export function browserRoutes(context: Context): Router {
  const { store, live } = context
  return Router()
    .post('/browsers/sign-out', async (req, res) => {
      const { session, sessionID } = req
      if (!isSignedIn(session)) {
        res.redirect(303, '/')
        return
      }
      // Looked for among the user's own: nobody ends a stranger's session.
      const logins = (await loginsOf(store, session.user)) ?? []
      const ended = logins.filter(({ sid }) => sid !== sessionID && handleOf(sid) === field(req, 'session'))
      for (const { sid } of ended) {
        await destroyStored(store, sid)
        live.look(sid)
      }
      await showHome(context, req, res, session, { signedOut: ended.map(login => namesIn(login.session)) })
    })
    .post('/browsers/sign-out-others', async (req, res) => {
      const { session, sessionID } = req
      if (!isSignedIn(session)) {
        res.redirect(303, '/')
        return
      }
      const logins = (await loginsOf(store, session.user)) ?? []
      await endOtherLogins(store, session.user, sessionID)
      const others = logins.filter(({ sid }) => sid !== sessionID)
      for (const { sid } of others) live.look(sid)
      await showHome(context, req, res, session, { signedOut: others.map(login => namesIn(login.session)) })
    })
}
