import type { Done } from './context.ts'

/** Calls `done` once: with what comes first, the result or, after so many milliseconds, the failure. */
export function before<T>(milliseconds: number, failure: Error, done: Done<T>): Done<T> {
  let settled = false
  const settle: Done<T> = (error, value) => {
    if (settled) return
    settled = true
    clearTimeout(timer)
    done(error, value)
  }
  const timer = setTimeout(() => settle(failure), milliseconds)
  return settle
}
