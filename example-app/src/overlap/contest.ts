import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import type { Store } from 'express-session'
import { readStored } from '../session/access.ts'
import { Barrier } from './barrier.ts'
import { contestApp } from './contest-app.ts'

export const REQUESTS = 50
const TIMEOUT = 10_000

export interface Progress {
  /** Requests that hold the session, and wait for the others. */
  readonly read: number
  /** Requests that have saved it with their update, and were answered. */
  readonly saved: number
}

/** Numbers of the requests whose update is in the session at the end. */
export type Survivors = readonly number[]

/**
 * Lets many requests change one session at once: each reads it, waits until all have read it, puts in
 * an update of its own and saves. They go over HTTP to an app that is as usual, but for the waiting.
 */
export async function runContest(
  store: Store,
  onProgress: (progress: Progress) => void = () => {},
): Promise<Survivors> {
  const secret = randomBytes(32).toString('base64url')
  const progress = { read: 0, saved: 0 }
  const barrier = new Barrier(REQUESTS)
  const arrive = (): Promise<void> => {
    progress.read++
    onProgress({ ...progress })
    return barrier.arrive()
  }
  const server = contestApp({ store, secret, arrive }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const signal = AbortSignal.timeout(TIMEOUT)
  try {
    const start = await post(`${base}/start`, { signal })
    const sid = await start.text()
    const cookie = start.headers.get('set-cookie')?.split(';')[0] ?? ''
    const updates = Array.from({ length: REQUESTS }, async (_, n) => {
      await post(`${base}/updates/${n}`, { headers: { cookie }, signal })
      progress.saved++
      onProgress({ ...progress })
    })
    const failed = (await Promise.allSettled(updates)).find(({ status }) => status === 'rejected')
    if (failed !== undefined && progress.saved === 0) throw (failed as PromiseRejectedResult).reason
    const stored = await readStored(store, sid)
    await post(`${base}/end`, { headers: { cookie }, signal })
    return Object.keys(stored?.updates ?? {}).map(Number)
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

async function post(url: string, options: RequestInit): Promise<Response> {
  const response = await fetch(url, { ...options, method: 'POST' })
  if (response.ok) return response
  throw Object.assign(new Error(await response.text()), { status: response.status })
}
