import type { Store } from 'express-session'
import type { BrowserCookie } from '../security/browser-cookie.ts'
import type { Servers } from '../servers.ts'

/** What the routes work with. */
export interface Context {
  readonly store: Store
  readonly servers: Servers | undefined
  readonly browsers: BrowserCookie
}
