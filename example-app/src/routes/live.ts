import { Router } from 'express'
import { isSignedIn } from '../session/data.ts'
import { onlyLook } from '../session/look.ts'
import type { Context } from './context.ts'

/** Pages that are open hear what happens to their session, as server-sent events. */
export function liveRoutes({ live }: Context): Router {
  return Router()
    .get('/live', (req, res) => {
      res.set({ 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store', 'X-Accel-Buffering': 'no' })
      if (!isSignedIn(req.session)) {
        res.end('event: ended\ndata:\n\n')
        return
      }
      const { sessionID } = req
      onlyLook(req)
      res.flushHeaders()
      // A browser that connects again says itself what it has heard last.
      const { seen } = req.query
      const revision = req.get('last-event-id') ?? (typeof seen === 'string' ? seen : '')
      const stop = live.watch(sessionID, revision, news => {
        const id = news.kind === 'changed' ? `id: ${news.revision}\n` : ''
        res.write(`${id}event: ${news.kind}\ndata:\n\n`)
      })
      res.once('close', stop)
    })
    .use((req, res, next) => {
      // What this process changes, its other pages hear at once.
      const { sessionID } = req
      if (req.method === 'POST') res.once('finish', () => live.look(sessionID))
      next()
    })
}
