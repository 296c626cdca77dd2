/** One of the app processes of `npm start -- --demo`. */
import type { Listening } from './demo.ts'
import { readAddress } from './environment.ts'
import { Remote } from './memcached/remote.ts'
import { serve } from './serve.ts'
import { findServers } from './servers.ts'
import { onShutDown } from './shut-down.ts'
import { createStore } from './store.ts'

const { env } = process
const servers = await findServers(env)
const store = createStore(servers.addresses)
const own = servers.addresses.map(address => new Remote(address))

try {
  const description = `${own.length} memcached servers that two processes of the app share. This page comes from the process on port ${env.PORT}.`
  const what = { store, secret: env.SESSION_SECRET ?? '', servers: { ...servers, own, description } }
  const serving = await serve(what, readAddress(env))
  const shutDown = onShutDown(async () => {
    await serving.close()
    process.exit()
  })
  // The demo itself is gone.
  process.on('disconnect', shutDown)
  process.send?.({ url: serving.url } satisfies Listening)
} catch (error) {
  console.error((error as Error).message)
  process.exit(1)
}
