import { Router } from 'express'
import { destroyStored } from '../session/access.ts'
import { isSignedIn } from '../session/data.ts'
import { endOtherLogins, handleOf, loginsOf } from '../session/logins.ts'
import type { Context } from './context.ts'
import { field } from './sign-in.ts'

/** Ending sessions of the same user that are open elsewhere. */
export function browserRoutes({ store, live }: Context): Router {
  return Router()
    .post('/browsers/sign-out', async (req, res) => {
      const { session, sessionID } = req
      if (isSignedIn(session)) {
        // Looked for among the user's own: nobody ends a stranger's session.
        const logins = (await loginsOf(store, session.user)) ?? []
        const login = logins.find(({ sid }) => sid !== sessionID && handleOf(sid) === field(req, 'session'))
        if (login !== undefined) {
          await destroyStored(store, login.sid)
          live.look(login.sid)
        }
      }
      res.redirect(303, '/')
    })
    .post('/browsers/sign-out-others', async (req, res) => {
      const { session, sessionID } = req
      if (isSignedIn(session)) {
        const logins = (await loginsOf(store, session.user)) ?? []
        await endOtherLogins(store, session.user, sessionID)
        for (const { sid } of logins) live.look(sid)
      }
      res.redirect(303, '/')
    })
}
