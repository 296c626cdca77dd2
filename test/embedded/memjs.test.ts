import { createRequire } from 'node:module'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { EmbeddedMemcached } from '../../lib/embedded/index.ts'

/** As much of memjs as an application uses; the store's own declarations tell only what the store uses. */
interface Client {
  get(key: string): Promise<{ value: Buffer | null }>
  set(key: string, value: string, options: { expires?: number }): Promise<boolean>
  add: Client['set']
  replace: Client['set']
  delete(key: string): Promise<boolean>
  increment(key: string, by: number, options: { initial?: number }): Promise<{ value: number }>
  decrement: Client['increment']
  close(): void
}
const memjs = createRequire(import.meta.url)('memjs') as { Client: { create(servers: string): Client } }

let server: EmbeddedMemcached
let client: Client
beforeEach(async () => {
  server = await EmbeddedMemcached.start()
  client = memjs.Client.create(server.address)
})
afterEach(async () => {
  client.close()
  await server.stop()
})

test('a stock memjs client works with it', async () => {
  expect(await client.set('a', 'x', { expires: 60 })).toBe(true)
  expect((await client.get('a')).value?.toString()).toBe('x')
  expect(await client.add('a', 'y', {})).toBe(false)
  expect(await client.replace('a', 'z', {})).toBe(true)
  expect((await client.get('a')).value?.toString()).toBe('z')
  expect(await client.delete('a')).toBe(true)
  expect((await client.get('a')).value).toBeNull()
  expect((await client.increment('n', 2, { initial: 5 })).value).toBe(5)
  expect((await client.increment('n', 2, {})).value).toBe(7)
  expect((await client.decrement('n', 3, {})).value).toBe(4)
})
