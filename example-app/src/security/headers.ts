import type { NextFunction, Request, RequestHandler, Response } from 'express'
import helmet from 'helmet'

/**
 * Headers that take rights away from the page: it runs its own scripts and styles only (so that
 * injected markup can do nothing), talks to itself only, is shown in no frame, and names no address
 * of its own to other sites, where a link for joining might be read.
 */
export function securityHeaders(): RequestHandler {
  return helmet({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        styleSrc: ["'self'"],
        imgSrc: ["'self'"],
        connectSrc: ["'self'"],
        formAction: ["'self'"],
        baseUri: ["'none'"],
        frameAncestors: ["'none'"],
      },
    },
    referrerPolicy: { policy: 'same-origin' },
    // These three mean something over https only; over plain http browsers complain about them.
    // Behind a TLS proxy, leave these lines out.
    strictTransportSecurity: false,
    crossOriginOpenerPolicy: false,
    originAgentCluster: false,
  })
}

/** What a page shows of a session is for now: after signing out, the button Back brings nothing back. */
export function keepNothing(_req: Request, res: Response, next: NextFunction): void {
  res.set('Cache-Control', 'no-store')
  next()
}
