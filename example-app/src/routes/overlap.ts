import { type Response, Router } from 'express'
import session from 'express-session'
import { type Progress, runContest, type Survivors } from '../overlap/contest.ts'
import type { Overlap } from '../pages/panels/overlap.ts'
import { isSignedIn } from '../session/data.ts'
import type { Context } from './context.ts'
import { showHome } from './home.ts'

/** A line of what the page's script reads while the test runs. */
type News = ({ side: keyof Overlap } & (Progress | { survivors: Survivors })) | { problem: string }

/** The overlap test: with a script as lines of JSON while it runs, without one as the page with its outcome. */
export function overlapRoutes(context: Context): Router {
  let running: Promise<unknown> = Promise.resolve()

  async function run(tell: (news: News) => void): Promise<Overlap> {
    const sides = { here: context.store, ordinary: new session.MemoryStore() }
    const contest = async (side: keyof Overlap): Promise<Survivors> => {
      const survivors = await runContest(sides[side], progress => tell({ side, ...progress }))
      tell({ side, survivors })
      return survivors
    }
    return { here: await contest('here'), ordinary: await contest('ordinary') }
  }

  /** One at a time: it keeps the process busy. */
  function runInTurn(tell: (news: News) => void): Promise<Overlap> {
    const turn = running.then(() => run(tell))
    running = turn.catch(() => {})
    return turn
  }

  return Router().post('/overlap', async (req, res) => {
    const { session } = req
    if (!isSignedIn(session)) res.redirect(303, '/')
    else if (req.accepts(['html', 'application/x-ndjson']) === 'html')
      await showHome(context, req, res, session, { overlap: await runInTurn(() => {}) })
    else await stream(res, runInTurn)
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
