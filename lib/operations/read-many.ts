import type { SessionData } from 'express-session'
import type { Context } from './context.ts'
import type { Done } from './done.ts'
import { read } from './read.ts'

/** So many reads are on their way at a time: enough to fill a pipeline, few enough for its queue. */
const AT_ONCE = 512

/**
 * Reads many sessions, pipelined. The map holds those that were found; the first failure ends it.
 *
 * @throws TypeError - for no list, or an id that is no string, before anything is read.
 */
export function readMany(
  context: Context,
  sids: Iterable<string>,
  done: Done<Map<string, SessionData>>,
): void {
  // A string would be taken for the ids of its characters.
  if (typeof sids !== 'object' || sids === null || typeof sids[Symbol.iterator] !== 'function') {
    throw new TypeError(`Expected \`sids\` to be a list of ids, got (${typeof sids})`)
  }
  const wanted = [...new Set(sids)]
  for (const sid of wanted) {
    // Most are read in a callback of another, where nobody would catch it.
    if (typeof sid !== 'string') throw new TypeError(`Expected \`sids\` to hold strings, got (${typeof sid})`)
  }
  const found = new Map<string, SessionData>()
  let next = 0
  let left = wanted.length
  let failed = false
  if (left === 0) {
    process.nextTick(done, null, found)
    return
  }
  const readNext = (): void => {
    if (failed || next === wanted.length) return
    const sid = wanted[next++] as string
    read(context, sid, (error, session) => {
      if (failed) return
      if (error !== null) {
        failed = true
        done(error)
        return
      }
      if (session != null) found.set(sid, session)
      if (--left === 0) done(null, found)
      else readNext()
    })
  }
  for (let i = 0; i < AT_ONCE && i < wanted.length; i++) readNext()
}
