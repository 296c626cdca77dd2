import { type Request, type Response, Router } from 'express'
import { readOutage } from '../memcached/health.ts'
import { whatIsAway } from '../pages/outage.ts'
import { signInPage } from '../pages/sign-in.ts'
import { destroySession, regenerateSession, saveSession } from '../session/access.ts'
import { browserName } from '../session/browser-name.ts'
import { freeColour } from '../session/data.ts'
import { onlyLook } from '../session/look.ts'
import type { Context } from './context.ts'
import { isOutage } from './errors.ts'

const LONGEST_NAME = 40

export function signInRoutes(context: Context): Router {
  const { browsers, proof } = context
  const isBacked = context.durable !== undefined

  async function signIn(req: Request, res: Response, name: string): Promise<void> {
    // A new id at every sign-in: one that somebody planted in this browser before is worth nothing.
    await regenerateSession(req)
    const browser = browsers.ensure(req, res)
    req.session.user = name
    req.session.values = {}
    req.session.edits = {}
    req.session.browsers = {
      [browser]: { name: browserName(req.get('user-agent')), colour: freeColour([]) },
    }
    await saveSession(req)
  }

  /** The name that was typed stays. */
  async function showOutage(req: Request, res: Response, name: string, error: unknown): Promise<void> {
    const outage = await readOutage(error, context)
    const problem = `${whatIsAway(outage)}, so nobody can sign in there just now. Try again when it is back.`
    onlyLook(req)
    res
      .status(503)
      .set('Retry-After', '2')
      .send(signInPage({ name, problem, outage, overlap: proof.last, isBacked }).source)
  }

  return Router()
    .post('/sign-in', async (req, res, next) => {
      const name = field(req, 'name').trim().replace(/\s+/g, ' ')
      const problem = nameProblem(name)
      if (problem !== undefined) {
        res.status(422).send(signInPage({ name, problem, overlap: proof.last, isBacked }).source)
        return
      }
      const failure = await signIn(req, res, name).then(
        () => undefined,
        (error: unknown) => error,
      )
      if (failure === undefined) res.redirect(303, '/')
      else if (isOutage(failure)) await showOutage(req, res, name, failure)
      else next(failure)
    })
    .post('/sign-out', async (req, res) => {
      await destroySession(req)
      res.clearCookie('session').redirect(303, '/?signed-out')
    })
}

/** One field of a form; repeated ones and missing ones count as empty. */
export function field(req: Request, name: string): string {
  const value: unknown = (req.body as Record<string, unknown> | undefined)?.[name]
  return typeof value === 'string' ? value : ''
}

function nameProblem(name: string): string | undefined {
  if (name === '') return 'Any name will do, but there must be one.'
  if (name.length > LONGEST_NAME)
    return `A name has at most ${LONGEST_NAME} characters; this one has ${name.length}.`
  return undefined
}
