import { Router } from 'express'
import { PageError } from '../pages/page-error.ts'
import type { Context } from './context.ts'
import { field } from './sign-in.ts'

const LOOPBACK = /^(::1$|(::ffff:)?127\.)/

/**
 * Stops a memcached that this app started, or all of them, and brings them back. It needs no session, because without
 * its memcached there is none; so it is for those who sit at this computer, and for nobody else.
 */
export function troubleRoutes({ servers }: Context): Router {
  return Router().post('/trouble', async (req, res) => {
    if (!LOOPBACK.test(req.socket.remoteAddress ?? ''))
      throw new PageError(
        403,
        'Not from here',
        'Only a browser on the computer that this app runs on may stop its memcached: open the app as localhost there.',
      )
    const wanted = field(req, 'server')
    const own = servers?.own.filter(({ address }) => wanted === 'all' || address === wanted) ?? []
    if (own.length === 0)
      throw new PageError(404, 'No such server', 'This app can stop only a memcached that it started itself.')
    const isStop = field(req, 'do') === 'stop'
    await Promise.all(own.map(server => (isStop ? server.stop() : server.bringBack())))
    res.redirect(303, '/')
  })
}
