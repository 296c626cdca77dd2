import { type Request, type Response, Router } from 'express'
import { rateLimit } from 'express-rate-limit'
import { toString as qrCode } from 'qrcode'
import { spelled } from '../join/codes.ts'
import { Html } from '../pages/html.ts'
import { joinPage } from '../pages/join.ts'
import type { PhoneWay } from '../pages/panels/share.ts'
import { baseForOthers } from '../reach/reach.ts'
import { enterSession, saveSession } from '../session/access.ts'
import { browserName } from '../session/browser-name.ts'
import { freeColour, isSignedIn } from '../session/data.ts'
import type { Context } from './context.ts'
import { showHome } from './home.ts'
import { field } from './sign-in.ts'

const TRIES_PER_MINUTE = 5

const PROBLEMS = {
  wrong: 'There is no such code. Look for a mistyped character, or ask for a new code.',
  used: 'This code has been used already: each is good for one browser. Ask for a new one.',
  expired: 'This code is more than a minute old. Ask for a new one.',
  ended: 'The session that this code was for has ended meanwhile.',
}

/** One browser shows a code, another one comes into its session with it. */
export function joinRoutes(context: Context): Router {
  return (
    Router()
      .post('/codes', async (req, res) => {
        const { session } = req
        if (!isSignedIn(session) || context.codes === undefined) {
          res.redirect(303, '/')
          return
        }
        const { code, until } = await context.codes.give(req.sessionID)
        const phone = await phoneWay(baseForOthers(req, context.reach), spelled(code))
        const { isOpen } = context.reach
        await showHome(context, req, res, session, {
          invitation: { code: spelled(code), until, phone, isOpen },
        })
      })
      // Following a link changes nothing yet: programs that look at links would use up the code.
      .get('/join', (req, res) => {
        const { code } = req.query
        res.send(joinPage({ code: typeof code === 'string' ? code : '', ...leaving(req) }).source)
      })
      .post('/join', limited(), async (req, res) => {
        const typed = field(req, 'code')
        const problem = (await context.codes?.take(typed)) ?? { problem: 'wrong' as const }
        const reason = 'sid' in problem ? await enter(context, req, res, problem.sid) : problem.problem
        if (reason === undefined) res.redirect(303, '/')
        else
          res.status(422).send(joinPage({ code: typed, problem: PROBLEMS[reason], ...leaving(req) }).source)
      })
  )
}

/** Where a phone finds the form with the code filled in, and that as a picture. */
async function phoneWay(base: string | undefined, code: string): Promise<PhoneWay | undefined> {
  if (base === undefined) return undefined
  const link = `${base}/join?code=${code}`
  // The picture is read off a screen: it needs no spare, and fewer squares are larger ones.
  const qr = await qrCode(link, { type: 'svg', margin: 2, errorCorrectionLevel: 'L' })
  return { link, qr: new Html(qr) }
}

async function enter(
  context: Context,
  req: Request,
  res: Response,
  sid: string,
): Promise<'ended' | undefined> {
  if (!(await enterSession(req, context.store, sid)) || !isSignedIn(req.session)) return 'ended'
  const { browsers } = req.session
  const browser = context.browsers.ensure(req, res)
  const colour = browsers[browser]?.colour ?? freeColour(Object.values(browsers))
  browsers[browser] = { name: browserName(req.get('user-agent')), colour }
  await saveSession(req)
  return undefined
}

/** Whose session this browser leaves when it joins another one. */
function leaving(req: Request): { leaves?: string } {
  return isSignedIn(req.session) ? { leaves: req.session.user } : {}
}

/** Codes cannot be found by trying. Counted in this process, by address; right ones do not count. */
function limited(): ReturnType<typeof rateLimit> {
  return rateLimit({
    windowMs: 60_000,
    limit: TRIES_PER_MINUTE,
    skipSuccessfulRequests: true,
    standardHeaders: 'draft-8',
    legacyHeaders: false,
    handler: (req, res) => {
      const problem = 'That was too many tries. Wait a minute, then ask for a new code.'
      res.status(429).send(joinPage({ code: field(req, 'code'), problem }).source)
    },
  })
}
