import type { Agent } from 'supertest'
import { describe, expect, test } from 'vitest'
import { startApp } from './running.ts'
import { page, post, signIn } from './visitor.ts'

const PHONE = 'Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0'
const DESKTOP =
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36'

const { app, store } = await startApp()

/** What the form for signing out the first other session carries. */
async function otherSession(visitor: Agent): Promise<string> {
  const handle = /name="session" value="([\w-]+)"/.exec(await page(visitor))?.[1]
  if (handle === undefined) throw new Error('The page shows no other session')
  return handle
}

const isSignedIn = async (visitor: Agent): Promise<boolean> => (await page(visitor)).includes('Your browsers')

describe('your browsers', () => {
  test('are listed by name, this one marked, without the ids of other sessions', async () => {
    const desktop = await signIn(app, 'Ada', DESKTOP)
    const phone = await signIn(app, 'Ada', PHONE)
    const text = await page(desktop)
    expect(text).toMatch(/Chrome on Linux\s*<small>this browser/)
    expect(text).toMatch(/Firefox on Android\s*<\/li>/)
    for (const { sid, session } of await store.sessionsOf('Ada')) {
      if (Object.values(session.browsers ?? {}).some(({ name }) => name.includes('Android')))
        expect(text).not.toContain(sid)
    }
    expect(await isSignedIn(phone)).toBe(true)
  })

  test('are signed out one by one', async () => {
    const [here, there] = [await signIn(app, 'Grace', DESKTOP), await signIn(app, 'Grace', PHONE)]
    await post(here, '/browsers/sign-out', { session: await otherSession(here) }).expect(
      200,
      /Signed out Firefox on Android/,
    )
    expect(await isSignedIn(here)).toBe(true)
    expect(await page(there)).toContain('Your session has ended')
    // Two scripts of the page may both come to this one.
    expect(await page(there)).toContain('Your session has ended')
  })

  test('are signed out together, but for this one', async () => {
    const here = await signIn(app, 'Edsger')
    const others = [await signIn(app, 'Edsger'), await signIn(app, 'Edsger')]
    const stranger = await signIn(app, 'Tony')
    await post(here, '/browsers/sign-out-others').expect(200, /Signed out/)
    expect(await isSignedIn(here)).toBe(true)
    expect(await Promise.all(others.map(isSignedIn))).toEqual([false, false])
    expect(await isSignedIn(stranger)).toBe(true)
  })

  test('of somebody else stay', async () => {
    const [donald, second] = [await signIn(app, 'Donald'), await signIn(app, 'Donald')]
    const stranger = await signIn(app, 'Mallory')
    await post(stranger, '/browsers/sign-out', { session: await otherSession(donald) }).expect(
      200,
      /Signed out nobody/,
    )
    expect(await Promise.all([donald, second].map(isSignedIn))).toEqual([true, true])
  })
})
