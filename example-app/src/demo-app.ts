/** One of the app processes of `npm start -- --demo`. */
import { commandFor, readArguments } from './arguments.ts'
import type { Listening } from './demo.ts'
import { durableIn } from './durable/durable.ts'
import { RemoteDatabase } from './durable/remote-database.ts'
import { readAddress, readPublicUrl } from './environment.ts'
import { Remote } from './memcached/remote.ts'
import { serve } from './serve.ts'
import { findServers } from './servers.ts'
import { onShutDown } from './shut-down.ts'
import { createStore } from './store.ts'

const { env } = process
const wanted = readArguments(process.argv.slice(2))
const servers = await findServers(env)
const database = await RemoteDatabase.find()
const durable = database && durableIn(database)
const store = createStore(servers.addresses, durable?.store)
const own = servers.addresses.map(address => new Remote(address))

try {
  const description = `${own.length} memcached servers that two processes of the app share. This page comes from the process on port ${env.PORT}.`
  const publicUrl = readPublicUrl(env)
  const what = {
    store,
    secret: env.SESSION_SECRET ?? '',
    servers: { ...servers, own, description },
    durable,
    publicUrl,
  }
  // The demo takes two ports: this one's and the next are in doubt.
  const advise = (port: number): string => `PORT=${port + 1} ${commandFor(wanted)}`
  const serving = await serve(what, readAddress(env, wanted), advise)
  const shutDown = onShutDown(async () => {
    await serving.close()
    process.exit()
  })
  // The demo itself is gone.
  process.on('disconnect', shutDown)
  process.send?.({ url: serving.url, urlForOthers: serving.urlForOthers } satisfies Listening)
} catch (error) {
  console.error((error as Error).message)
  process.exit(1)
}
