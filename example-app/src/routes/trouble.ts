import { Router } from 'express'
import { PageError } from '../pages/page-error.ts'
import type { Context } from './context.ts'
import { field } from './sign-in.ts'

/**
 * Stops a memcached that this app started, and brings it back. It needs no session, because without
 * its memcached there is none. Not for an app that others can reach.
 */
export function troubleRoutes({ servers }: Context): Router {
  return Router().post('/trouble', async (req, res) => {
    const server = servers?.own.find(({ address }) => address === field(req, 'server'))
    if (server === undefined)
      throw new PageError(404, 'No such server', 'This app can stop only a memcached that it started itself.')
    if (field(req, 'do') === 'stop') await server.stop()
    else await server.bringBack()
    res.redirect(303, '/')
  })
}
