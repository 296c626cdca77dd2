import { HELP, type Mode, readArguments } from './arguments.ts'
import { runDemo } from './demo.ts'
import { readAddress, SECRET_FILE } from './environment.ts'
import { readSecret } from './secret.ts'
import { serve } from './serve.ts'
import { findServers } from './servers.ts'
import { onShutDown } from './shut-down.ts'
import { createStore } from './store.ts'

const RUN: Record<Mode, () => Promise<void>> = {
  app: runApp,
  demo: () => runDemo(process.env),
  help: async () => console.log(HELP),
}

try {
  await RUN[readArguments(process.argv.slice(2))]()
} catch (error) {
  console.error((error as Error).message)
  process.exit(1)
}

/** One process, with the memcached that is there. */
async function runApp(): Promise<void> {
  const { env } = process
  const address = readAddress(env)
  const { secret, warning } = await readSecret(env, SECRET_FILE)
  const servers = await findServers(env)
  const store = createStore(servers.addresses)
  const serving = await serve({ store, secret, servers }, address).catch(async error => {
    await servers.close()
    throw error
  })
  console.log(`Sessions are kept in ${servers.description}`)
  if (warning !== undefined) console.warn(warning)
  console.log(`Open ${serving.url} in your browser. Ctrl+C ends the app.`)
  onShutDown(async () => {
    await serving.close()
    await servers.close()
    process.exit()
  })
}
