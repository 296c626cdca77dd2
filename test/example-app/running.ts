import { afterAll } from 'vitest'
import { createApp } from '../../example-app/src/app.ts'
import { createStore } from '../../example-app/src/store.ts'
import { EmbeddedMemcached } from '../../lib/embedded/index.ts'
import { secret, serversAt } from './visitor.ts'

/** The example app on a memcached of its own, until the tests of the file are over. */
export async function startApp(): Promise<{
  server: EmbeddedMemcached
  store: ReturnType<typeof createStore>
  app: ReturnType<typeof createApp>
}> {
  const server = await EmbeddedMemcached.start()
  const store = createStore([server.address])
  afterAll(async () => {
    await store.close()
    await server.stop()
  })
  return { server, store, app: createApp({ store, secret, servers: serversAt(server.address) }) }
}
