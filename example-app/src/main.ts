import type { MemcachedStore } from 'express-session-memcached'
import { commandFor, HELP, readArguments, type Wanted } from './arguments.ts'
import { runDemo } from './demo.ts'
import { readAddress, readPublicUrl, secretFile } from './environment.ts'
import { readSecret } from './secret.ts'
import { type Serving, serve } from './serve.ts'
import { findServers, type Servers } from './servers.ts'
import { onShutDown } from './shut-down.ts'
import { createStore } from './store.ts'

try {
  const wanted = readArguments(process.argv.slice(2))
  if (wanted.help) console.log(HELP)
  else if (wanted.demo) await runDemo(process.env, wanted)
  else await runApp(wanted)
} catch (error) {
  console.error((error as Error).message)
  process.exit(1)
}

/** One process, with the memcached that is there. */
async function runApp(wanted: Wanted): Promise<void> {
  const { env } = process
  const address = readAddress(env, wanted)
  const publicUrl = readPublicUrl(env)
  const { secret, warning } = await readSecret(env, secretFile(env))
  const servers = await findServers(env)
  const store = createStore(servers.addresses)
  const advise = (port: number): string => `PORT=${port} ${commandFor(wanted)}`
  const serving = await serve({ store, secret, servers, publicUrl }, address, advise).catch(async error => {
    await servers.close()
    throw error
  })
  console.log(await whereSessionsAre(store, servers))
  if (warning !== undefined) console.warn(warning)
  console.log(`Open ${serving.url} in your browser. Ctrl+C ends the app.`)
  if (wanted.phone) console.log(forPhones(serving))
  onShutDown(async () => {
    await serving.close()
    await servers.close()
    process.exit()
  })
}

/** Asked before it is told: a name that was mistyped is best seen here. */
async function whereSessionsAre(store: MemcachedStore, servers: Servers): Promise<string> {
  const down = (await store.stats()).servers.filter(({ reachable }) => !reachable)
  if (down.length === 0) return `Sessions are kept in ${servers.description}`
  const addresses = down.map(({ address }) => address).join(', ')
  return `No memcached answers on ${addresses}, though MEMCACHED_SERVERS names it: start one there, or leave MEMCACHED_SERVERS out. Until then nobody can sign in who belongs there; the app goes on as soon as it answers.`
}

function forPhones({ urlForOthers, url }: Serving): string {
  if (urlForOthers === undefined)
    return 'For phones: this computer has no address in a network. Say where they find the app: PUBLIC_URL=http://192.168.1.5:3000'
  return `On a phone in the same network: ${urlForOthers}. Nothing there? Let port ${new URL(url).port} through this computer’s firewall.`
}
