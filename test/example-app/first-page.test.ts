import session from 'express-session'
import request, { type Agent } from 'supertest'
import { describe, expect, test } from 'vitest'
import { createApp } from '../../example-app/src/app.ts'
import { MemcachedStore } from '../../lib/index.ts'
import { startApp } from './running.ts'
import { post, secret, signIn } from './visitor.ts'

const { server, store, app } = await startApp()
const signedIn = (to = app): Promise<Agent> => signIn(to, 'Ada')
const put = (visitor: Agent, key: string, value: string): request.Test =>
  post(visitor, '/values', { key, value })

describe('the page of the example app', () => {
  test('asks for a name first, and gives no cookie of a session', async () => {
    const { text, headers } = await request(app).get('/').expect(200)
    expect(text).toContain('Sign in')
    expect(JSON.stringify(headers['set-cookie'] ?? [])).not.toContain('session=')
  })

  test.each(['"dark"', '42', 'true', 'null', '{"apples":3}', '["/shoes"]'])('keeps %s', async value => {
    const visitor = await signedIn()
    await put(visitor, 'kept', value).expect(303)
    const sid = (await store.ids()).at(-1) as string
    expect(await store.get(sid)).toMatchObject({ user: 'Ada', values: { kept: JSON.parse(value) } })
    await store.destroy(sid)
  })

  test('deletes a value, and takes that back', async () => {
    const visitor = await signedIn()
    await put(visitor, 'short-lived', '1').expect(303)
    expect((await visitor.get('/')).text).toContain('short-lived')
    const deleted = await post(visitor, '/values/delete', { key: 'short-lived' }).expect(200)
    expect(deleted.text).toMatch(
      /name="key" value="short-lived">\s*<input type="hidden" name="value" value="1">/,
    )
    expect((await visitor.get('/')).text).not.toContain('name="key" value="short-lived"')
    await put(visitor, 'short-lived', '1').expect(303)
    expect((await visitor.get('/')).text).toContain('name="key" value="short-lived"')
  })

  test('warns before another value is replaced, of each key anew', async () => {
    const visitor = await signedIn()
    await put(visitor, 'theme', '"dark"').expect(303)
    await put(visitor, 'theme', '"light"').expect(409)
    const warned = { value: '"light"', 'warned-key': 'theme', 'warned-was': '"dark"' }
    await post(visitor, '/values', { ...warned, key: 'other' }).expect(303)
    await post(visitor, '/values', { ...warned, key: 'theme' }).expect(303)
    await post(visitor, '/values', { ...warned, key: 'theme', value: '"sepia"' }).expect(409)
  })

  test('says what is wrong with invalid JSON, and keeps what was typed', async () => {
    const visitor = await signedIn()
    await put(visitor, 'cart', '{"apples": 3}').expect(303)
    const { text } = await put(visitor, 'draft', '{"pears": ').expect(422)
    expect(text).toContain('Something is not closed')
    expect(text).toContain('{&quot;pears&quot;: ')
    expect(text).toContain('apples')
  })

  test('refuses what is nested too deeply to be stored', async () => {
    const visitor = await signedIn()
    const { text } = await put(visitor, 'abyss', `${'['.repeat(20_000)}${']'.repeat(20_000)}`).expect(422)
    expect(text).toContain('nested more than 100 deep')
  })

  test('is kept by no cache', async () => {
    const visitor = await signedIn()
    await visitor.get('/').expect('Cache-Control', 'no-store')
  })

  test('shows markup as text', async () => {
    const visitor = await signedIn()
    await put(visitor, '<b>', '"<script>alert(1)</script>"').expect(303)
    const { text } = await visitor.get('/')
    expect(text).not.toContain('<script>alert(1)')
    expect(text).not.toContain('<b>')
  })

  test('finds the session again after a restart of the app', async () => {
    const visitor = await signedIn()
    await put(visitor, 'survivor', '"still here"').expect(303)
    const cookies = (await visitor.get('/')).headers['set-cookie'] as unknown as string[]
    const again = new MemcachedStore({ servers: server.address })
    const cookie = cookies.map(one => one.split(';')[0]).join('; ')
    const { text } = await request(createApp({ store: again, secret }))
      .get('/')
      .set('Cookie', cookie)
    expect(text).toContain('still here')
    await again.close()
  })

  test('refuses a form of another site', async () => {
    const visitor = await signedIn()
    await put(visitor, 'forged', '1').set('Sec-Fetch-Site', 'cross-site').expect(403)
  })

  test('signs out', async () => {
    const visitor = await signedIn()
    await post(visitor, '/sign-out').expect(303)
    expect((await visitor.get('/')).text).toContain('Sign in')
  })

  test('runs on any store of express-session', async () => {
    const visitor = await signedIn(createApp({ store: new session.MemoryStore(), secret }))
    await put(visitor, 'anywhere', '1').expect(303)
    expect((await visitor.get('/').expect(200)).text).toContain('anywhere')
  })
})
