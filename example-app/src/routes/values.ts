import { type Request, type Response, Router } from 'express'
import type { Draft } from '../pages/panels/values.ts'
import { saveSession } from '../session/access.ts'
import { browserLabel, capitalised } from '../session/browsers.ts'
import {
  deleteValue,
  isSignedIn,
  type Json,
  keyProblem,
  putValue,
  type SignedIn,
  snapshot,
  storedValue,
} from '../session/data.ts'
import { readJson } from '../session/json-input.ts'
import type { Context } from './context.ts'
import { showHome } from './home.ts'
import { field } from './sign-in.ts'

/** Putting values into the session, changing and deleting them. */
export function valueRoutes(context: Context): Router {
  return Router()
    .post('/values', async (req, res) => {
      const { session } = req
      if (!isSignedIn(session)) {
        res.redirect(303, '/')
        return
      }
      const input = readInput(req, session, context.browsers.read(req))
      if ('problem' in input) {
        await showProblem(context, req, res, session, input)
        return
      }
      putValue(session, input.key, input.value, context.browsers.ensure(req, res))
      await saveSession(req)
      res.redirect(303, '/')
    })
    .post('/values/delete', async (req, res) => {
      const { session } = req
      const key = field(req, 'key')
      const value = isSignedIn(session) ? storedValue(session, key) : undefined
      if (!isSignedIn(session) || value === undefined) {
        res.redirect(303, '/')
        return
      }
      deleteValue(session, key, context.browsers.ensure(req, res))
      await saveSession(req)
      await showHome(context, req, res, session, { deleted: { key, value } })
    })
}

/** What was typed: a value to store, or a draft with what is wrong with it. */
function readInput(
  req: Request,
  session: SignedIn,
  here: string | undefined,
): { key: string; value: Json } | Draft {
  const key = field(req, 'key').trim()
  const draft = { key, text: field(req, 'value'), editing: field(req, 'edit') !== '' }
  const wrongKey = keyProblem(key)
  if (wrongKey !== undefined) return { ...draft, problem: wrongKey, about: 'key' }
  const input = field(req, 'as') === 'text' ? { value: draft.text } : readJson(draft.text)
  if ('problem' in input) return { ...draft, problem: input.problem, about: 'value' }
  const conflict = conflictOf(session, key, input.value, { was: expected(req, key), here })
  return conflict === undefined ? { key, value: input.value } : { ...draft, ...conflict, about: 'value' }
}

/** What whoever sent the form takes for stored: as it was opened for editing, as a warning said, else nothing. */
function expected(req: Request, key: string): string {
  if (field(req, 'edit') !== '') return field(req, 'was')
  return field(req, 'warned-key') === key ? field(req, 'warned-was') : snapshot(undefined)
}

/**
 * The form says what the value was when it was opened. Where it is another one by now, somebody changed
 * it meanwhile, and whoever saves last should know what they replace. (Saves that truly overlap are
 * merged by the store; this is about people who look at the same value for minutes.)
 */
function conflictOf(
  session: SignedIn,
  key: string,
  value: Json,
  { was, here }: { readonly was: string; readonly here: string | undefined },
): Pick<Draft, 'problem' | 'theirs'> | undefined {
  const stored = storedValue(session, key)
  const now = snapshot(stored)
  if (now === was || now === snapshot(value)) return undefined
  if (was === snapshot(undefined))
    return { problem: `There is a “${key}” already. Save again to replace it.`, theirs: now }
  const who = capitalised(browserLabel(session.browsers, session.edits[key]?.by, here))
  return stored === undefined
    ? { problem: `${who} deleted this meanwhile. Save again to put it back.`, theirs: now }
    : { problem: `${who} changed this meanwhile. Save again to replace it with yours.`, theirs: now }
}

async function showProblem(
  context: Context,
  req: Request,
  res: Response,
  session: SignedIn,
  draft: Draft,
): Promise<void> {
  // Not to the page's script: browsers report what it is refused as a fault of the page.
  if (req.get('x-swap') === undefined) res.status(draft.theirs === undefined ? 422 : 409)
  await showHome(context, req, res, session, { draft })
}
