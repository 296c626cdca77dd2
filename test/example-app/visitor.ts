import request, { type Agent } from 'supertest'
import type { createApp } from '../../example-app/src/app.ts'
import type { Servers } from '../../example-app/src/servers.ts'

type App = ReturnType<typeof createApp>

export const secret = 'a secret of the tests, long enough'

/** A browser: it keeps cookies, and says where its forms come from. */
export function browser(of: App, userAgent = 'a test'): Agent {
  return request.agent(of).set('Sec-Fetch-Site', 'same-origin').set('User-Agent', userAgent)
}

export async function signIn(to: App, name: string, userAgent?: string): Promise<Agent> {
  const visitor = browser(to, userAgent)
  await post(visitor, '/sign-in', { name }).expect(303)
  return visitor
}

export function post(visitor: Agent, path: string, fields: Record<string, string> = {}): request.Test {
  return visitor.post(path).type('form').send(fields)
}

export async function page(visitor: Agent): Promise<string> {
  return (await visitor.get('/').expect(200)).text
}

/** Servers that somebody else started. */
export function serversAt(...addresses: string[]): Servers {
  return { addresses, description: 'servers of a test', own: [], close: async () => {} }
}

/** The short code on a page. */
export function codeOn(text: string): string {
  const code = /<strong>([2-9A-Z]{4}-[2-9A-Z]{4})<\/strong>/.exec(text)?.[1]
  if (code === undefined) throw new Error('The page shows no code')
  return code
}
