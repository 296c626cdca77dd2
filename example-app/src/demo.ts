import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Wanted } from './arguments.ts'
import { Database } from './durable/database.ts'
import { answerQueries } from './durable/remote-database.ts'
import { readAddress, secretFile } from './environment.ts'
import { answerRemotes } from './memcached/remote.ts'
import { readSecret } from './secret.ts'
import { type Servers, startServers } from './servers.ts'
import { onShutDown } from './shut-down.ts'

const APP = fileURLToPath(new URL('./demo-app.ts', import.meta.url))
const SERVERS = 3
const APPS = 2
const GRACE = 5000
const PATIENCE = 30_000

/** What an app tells when it listens. */
export interface Listening {
  readonly url: string
  readonly urlForOthers: string | undefined
}

/** What the apps share. It belongs to this process. */
interface Shared {
  readonly servers: Servers
  /** Starts while the apps do; fails where it cannot. */
  readonly database: Promise<Database>
}

/** Two processes of the app that share nothing but three memcached servers, and a database behind these. */
export async function runDemo(env: NodeJS.ProcessEnv, wanted: Wanted): Promise<void> {
  const { port, host } = readAddress(env, wanted)
  const { secret } = await readSecret(env, secretFile(env))
  const servers = await startServers(SERVERS)
  const database = withinPatience(Database.start())
  const shared = { servers, database }
  const apps = Array.from({ length: APPS }, (_, n) =>
    startApp(shared, wanted, {
      ...env,
      HOST: host,
      PORT: String(port === 0 ? 0 : port + n),
      SESSION_SECRET: secret,
      MEMCACHED_SERVERS: servers.addresses.join(','),
    }),
  )
  let isEnding = false
  const shutDown = onShutDown(async () => {
    isEnding = true
    await end(apps, shared)
    process.exit()
  })
  for (const app of apps) {
    app.once('exit', () => {
      // Neither is of use without the other. A Ctrl+C may reach an app before it reaches this process.
      if (!isEnding && app.exitCode !== 0) process.exitCode = 1
      shutDown()
    })
  }
  const listening = await Promise.all(apps.map(whereItListens))
  if (listening.includes(undefined)) return
  const urls = listening.flatMap(one => one?.url ?? [])
  const [phone] = wanted.phone ? listening.flatMap(one => one?.urlForOthers ?? []) : []
  console.log(`Sessions are kept in ${servers.description}
${await whatIsBehind(database)}
Two processes of the app share them:

  ${urls.join('\n  ')}

Open both, in one browser or in several${phone === undefined ? '' : `, or ${phone} on a phone`}. Ctrl+C ends it all.`)
}

/** It is left out where it takes too long, too. */
function withinPatience(database: Promise<Database>): Promise<Database> {
  const tooLong = once(AbortSignal.timeout(PATIENCE), 'abort').then(() => {
    throw new Error('it took too long')
  })
  const outcome = Promise.race([database, tooLong])
  // It may fail before anybody asks.
  outcome.catch(() => {})
  return outcome
}

async function whatIsBehind(database: Promise<Database>): Promise<string> {
  return database.then(
    () =>
      'Behind them is a durable store: PostgreSQL (PGlite, in memory of this process) with connect-pg-simple. Stop all three on the page, and go on.',
    (error: Error) => `No durable store is behind them: PGlite did not start here (${error.message}).`,
  )
}

function startApp({ servers, database }: Shared, { phone }: Wanted, env: NodeJS.ProcessEnv): ChildProcess {
  const app = fork(APP, ['--demo', ...(phone ? ['--phone'] : [])], { env })
  answerRemotes(app, servers.own)
  answerQueries(app, database)
  return app
}

/** Where it listens; undefined where it ended instead (it has said why). */
async function whereItListens(app: ChildProcess): Promise<Listening | undefined> {
  const listening = new Promise<Listening>(resolve => {
    app.on('message', (message: Partial<Listening>) => {
      const { url, urlForOthers } = message
      if (url !== undefined) resolve({ url, urlForOthers })
    })
  })
  return Promise.race([listening, once(app, 'exit').then(() => undefined)])
}

/** The apps first, so that their last saves find a memcached and what is behind it. The database ends with this process. */
async function end(apps: readonly ChildProcess[], { servers }: Shared): Promise<void> {
  await Promise.all(
    apps.map(async app => {
      if (app.exitCode !== null || app.signalCode !== null) return
      const gone = once(app, 'exit')
      app.kill('SIGTERM')
      const timer = setTimeout(() => app.kill('SIGKILL'), GRACE)
      await gone
      clearTimeout(timer)
    }),
  )
  await servers.close()
}
