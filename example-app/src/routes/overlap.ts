import { type Response, Router } from 'express'
import { rateLimit } from 'express-rate-limit'
import type { Step } from '../overlap/proof.ts'
import { PageError } from '../pages/page-error.ts'
import { signInPage } from '../pages/sign-in.ts'
import { isSignedIn } from '../session/data.ts'
import type { Context } from './context.ts'
import { showHome } from './home.ts'

const RUNS_PER_MINUTE = 60

/** A line of what the page's script reads while the test runs. */
type News = Step | { readonly problem: string }

/** The overlap test, for everybody: with a script as lines of JSON while it runs, without one as the page with its outcome. */
export function overlapRoutes(context: Context): Router {
  return Router().post('/overlap', limited(), async (req, res) => {
    if (req.accepts(['html', 'application/x-ndjson']) !== 'html') {
      await stream(res, tell => context.proof.run(tell))
      return
    }
    const overlap = await context.proof.run(() => {})
    if (isSignedIn(req.session)) await showHome(context, req, res, req.session)
    else res.send(signInPage({ overlap, isBacked: context.durable !== undefined }).source)
  })
}

/** Each run is a hundred requests of the app to itself. */
function limited(): ReturnType<typeof rateLimit> {
  return rateLimit({
    windowMs: 60_000,
    limit: RUNS_PER_MINUTE,
    standardHeaders: 'draft-8',
    legacyHeaders: false,
    handler: (_req, _res, next) =>
      next(new PageError(429, 'That was too many runs', 'Wait a minute, then run the test again.')),
  })
}

async function stream(res: Response, run: (tell: (news: News) => void) => Promise<unknown>): Promise<void> {
  const tell = (news: News): void => void res.write(`${JSON.stringify(news)}\n`)
  res.type('application/x-ndjson')
  await run(tell).catch(error => {
    const { status } = error as { status?: number }
    tell({
      problem:
        status === 503
          ? 'memcached does not answer; try again when it is back.'
          : 'That did not work; try again.',
    })
  })
  res.end()
}
