import { fileURLToPath } from 'node:url'
import express, { type Express } from 'express'
import session, { type Store } from 'express-session'
import type { Durable } from './durable/durable.ts'
import { Codes } from './join/codes.ts'
import { Watcher } from './live/watcher.ts'
import { Proof } from './overlap/proof.ts'
import type { Reach } from './reach/reach.ts'
import { browserRoutes } from './routes/browsers.ts'
import { errorHandler, notFound } from './routes/errors.ts'
import { homeRoutes } from './routes/home.ts'
import { joinRoutes } from './routes/join.ts'
import { liveRoutes } from './routes/live.ts'
import { overlapRoutes } from './routes/overlap.ts'
import { healthRoutes, placeRoutes } from './routes/place.ts'
import { signInRoutes } from './routes/sign-in.ts'
import { troubleRoutes } from './routes/trouble.ts'
import { valueRoutes } from './routes/values.ts'
import { BrowserCookie } from './security/browser-cookie.ts'
import { keepNothing, securityHeaders } from './security/headers.ts'
import { sameOrigin } from './security/same-origin.ts'
import type { Servers } from './servers.ts'

export interface AppOptions {
  /** Any store of express-session; with a `MemcachedStore` the page shows more. */
  readonly store: Store
  /** Signs the cookies. */
  readonly secret: string
  /** Where the sessions are, for the page to show it. */
  readonly servers?: Servers | undefined
  /** What is behind the store, where that is one on memcached. */
  readonly durable?: Durable | undefined
  /** Milliseconds for which a code for joining is good; a minute. */
  readonly codeLife?: number | undefined
  /** From where it can be reached; from this computer only. */
  readonly reach?: Reach | undefined
}

const HERE: Reach = { isOpen: false }
const HOUR = 60 * 60 * 1000
const PUBLIC = fileURLToPath(new URL('../public', import.meta.url))

/** The app, not listening yet. */
export function createApp(options: AppOptions): Express {
  const { store, secret, servers, durable, codeLife, reach = HERE } = options
  const app = express()
  const browsers = new BrowserCookie(secret)
  const codes = servers && new Codes(servers.addresses, codeLife)
  const context = {
    store,
    servers,
    durable,
    browsers,
    codes,
    reach,
    live: new Watcher(store),
    proof: new Proof(store),
  }
  app.disable('x-powered-by')
  // Behind a TLS proxy also: app.set('trust proxy', 1), so that `secure: 'auto'` sees the visitor's https.
  app.use(securityHeaders())
  app.use('/assets', express.static(PUBLIC, { index: false, maxAge: '1h' }))
  app.use(keepNothing, sameOrigin)
  app.use(express.urlencoded({ extended: false, limit: '200kb' }))
  const sessions = session({
    store,
    secret,
    // Not the default name: who knows it need not know what this runs on.
    name: 'session',
    // Visitors who have not signed in get no cookie, and no place in memcached.
    saveUninitialized: false,
    // What has not changed is not written again.
    resave: false,
    // Each visit gives the session its whole hour again, in the browser, too.
    rolling: true,
    cookie: {
      // With an age the cookie stays when the browser is closed; without one it goes.
      maxAge: HOUR,
      // No script can read it.
      httpOnly: true,
      // Sent over https only, where the page was loaded over https. In production: true.
      secure: 'auto',
      // Not sent with forms and scripts of other sites.
      sameSite: 'lax',
    },
  })
  // These work while memcached is down.
  app.use(troubleRoutes(context), placeRoutes(context, sessions), healthRoutes(context, sessions))
  app.use(sessions)
  app.use(liveRoutes(context))
  app.use(homeRoutes(context), signInRoutes(context), valueRoutes(context), overlapRoutes(context))
  app.use(joinRoutes(context), browserRoutes(context))
  app.use(notFound)
  app.use(errorHandler(context))
  return app
}
