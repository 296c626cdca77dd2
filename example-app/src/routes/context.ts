import type { Store } from 'express-session'
import type { Durable } from '../durable/durable.ts'
import type { Codes } from '../join/codes.ts'
import type { Watcher } from '../live/watcher.ts'
import type { Proof } from '../overlap/proof.ts'
import type { Reach } from '../reach/reach.ts'
import type { BrowserCookie } from '../security/browser-cookie.ts'
import type { Servers } from '../servers.ts'

/** What the routes work with. */
export interface Context {
  readonly store: Store
  readonly servers: Servers | undefined
  /** Undefined where nothing is behind memcached. */
  readonly durable: Durable | undefined
  readonly browsers: BrowserCookie
  /** Undefined where no memcached keeps them. */
  readonly codes: Codes | undefined
  readonly live: Watcher
  readonly reach: Reach
  readonly proof: Proof
}
