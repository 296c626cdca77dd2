import type { Done } from './context.ts'

const TICKS = 10

/**
 * Calls `done` once: with what comes first, the result or, after so many milliseconds, the failure.
 *
 * Counts ticks, as the wire does: a process that was itself busy for so long is first given the time
 * to take the result, which may be waiting in its socket.
 */
export function before<T>(milliseconds: number, failure: Error, done: Done<T>): Done<T> {
  let settled = false
  let ticks = 0
  const settle: Done<T> = (error, value) => {
    if (settled) return
    settled = true
    clearInterval(timer)
    done(error, value)
  }
  const timer = setInterval(() => {
    if (++ticks === TICKS) settle(failure)
  }, milliseconds / TICKS)
  return settle
}
