import { once } from 'node:events'
import type { Server } from 'node:http'
import { fileURLToPath } from 'node:url'
import { createApp } from './app.ts'
import { readSecret } from './secret.ts'
import { findServers } from './servers.ts'
import { createStore } from './store.ts'

const GRACE = 2000

const { env } = process
const port = Number(env.PORT ?? 3000)
const host = env.HOST ?? '127.0.0.1'
if (!Number.isInteger(port) || port < 0 || port > 65_535)
  fail(`Expected PORT to be a number from 0 to 65535, got ${env.PORT}`)

const { secret, warning } = await readSecret(
  env,
  fileURLToPath(new URL('../.session-secret', import.meta.url)),
)
const servers = await findServers(env).catch(error => fail(error.message))
const store = createStore(servers.addresses)
const server = await listen()
console.log(`Sessions are kept in ${servers.description}`)
if (warning !== undefined) console.warn(warning)
console.log(
  `Open http://${host.includes(':') ? `[${host}]` : host}:${portOf(server)} in your browser. Ctrl+C ends the app.`,
)

process.once('SIGTERM', shutDown)
process.once('SIGINT', shutDown)

async function listen(): Promise<Server> {
  const server = createApp({ store, secret, servers }).listen(port, host)
  try {
    await once(server, 'listening')
    return server
  } catch (error) {
    await Promise.all([store.close(), servers.close()])
    return fail(explain(error as NodeJS.ErrnoException))
  }
}

/** Requests end, then connections to memcached, then a memcached of our own. */
async function shutDown(): Promise<void> {
  server.close()
  server.closeIdleConnections()
  const timer = setTimeout(() => server.closeAllConnections(), GRACE)
  await once(server, 'close')
  clearTimeout(timer)
  await store.close()
  await servers.close()
}

function explain(error: NodeJS.ErrnoException): string {
  if (error.code === 'EADDRINUSE')
    return `Port ${port} is taken: another copy of this app, perhaps. Choose another one: PORT=${port + 1} npm start`
  if (error.code === 'EACCES')
    return `Port ${port} may not be used by this user. Choose one from 1024: PORT=3000 npm start`
  return `Cannot listen on ${host}:${port}: ${error.message}`
}

function portOf(server: Server): number {
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : port
}

function fail(message: string): never {
  console.error(message)
  process.exit(1)
}
