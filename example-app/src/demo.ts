import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { readAddress, SECRET_FILE } from './environment.ts'
import { answerRemotes } from './memcached/remote.ts'
import { readSecret } from './secret.ts'
import { type Servers, startServers } from './servers.ts'
import { onShutDown } from './shut-down.ts'

const APP = fileURLToPath(new URL('./demo-app.ts', import.meta.url))
const SERVERS = 3
const APPS = 2
const GRACE = 5000

/** What an app tells when it listens. */
export interface Listening {
  readonly url: string
}

/** Two processes of the app that share nothing but three memcached servers, which belong to this process. */
export async function runDemo(env: NodeJS.ProcessEnv): Promise<void> {
  const { port, host } = readAddress(env)
  const { secret } = await readSecret(env, SECRET_FILE)
  const servers = await startServers(SERVERS)
  const apps = Array.from({ length: APPS }, (_, n) =>
    startApp(servers, {
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
    await end(apps, servers)
    process.exit()
  })
  for (const app of apps) {
    app.once('exit', () => {
      // Neither is of use without the other. A Ctrl+C may reach an app before it reaches this process.
      if (!isEnding && app.exitCode !== 0) process.exitCode = 1
      shutDown()
    })
  }
  const urls = await Promise.all(apps.map(urlOf))
  if (urls.includes(undefined)) return
  console.log(`Sessions are kept in ${servers.description}
Two processes of the app share them:

  ${urls.join('\n  ')}

Open both, in one browser or in several. Ctrl+C ends it all.`)
}

function startApp(servers: Servers, env: NodeJS.ProcessEnv): ChildProcess {
  const app = fork(APP, { env })
  answerRemotes(app, servers.own)
  return app
}

/** Where it listens; undefined where it ended instead (it has said why). */
async function urlOf(app: ChildProcess): Promise<string | undefined> {
  const listening = new Promise<string>(resolve => {
    app.on('message', (message: Partial<Listening>) => message.url !== undefined && resolve(message.url))
  })
  return Promise.race([listening, once(app, 'exit').then(() => undefined)])
}

/** The apps first, so that their last saves find a memcached. */
async function end(apps: readonly ChildProcess[], servers: Servers): Promise<void> {
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
