import { execFile, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { EmbeddedMemcached } from '../../lib/embedded/index.ts'
import { MemcachedStore } from '../../lib/index.ts'
import { Project, tsc } from '../package/project.ts'
import { freePort } from '../support/port.ts'
import { Page } from './page.ts'
import { PastedApp } from './pasted-app.ts'

// Runs what the README and the pages show, as pasted, in an empty project with the packed package.

const run = promisify(execFile)
const python = '/usr/bin/python3'
const hasPython = spawnSync(python, ['-c', 'import memcache']).status === 0

let project: Project
let server: EmbeddedMemcached
let readme: Page

beforeAll(async () => {
  readme = await Page.read('README.md')
  project = await Project.create(
    installedBy(readme.text).filter(name => name !== 'express-session-memcached'),
  )
  server = await EmbeddedMemcached.start()
}, 300_000)

afterAll(async () => {
  await server.stop()
  await project[Symbol.asyncDispose]()
})

/** What its lines `npm install …` name. */
function installedBy(text: string): string[] {
  const lines = text.matchAll(/npm install ((?:-D )?[@\w].*?)(?:`|$)/gm)
  return [...lines].flatMap(([, packages = '']) => packages.replace(/^-D /, '').split(' '))
}

async function compile(file: string): Promise<void> {
  const flags = ['--strict', '--module', 'nodenext', '--target', 'es2022', '--outDir', 'out']
  await run(process.execPath, [tsc, ...flags, file], { cwd: project.folder }).catch(error =>
    expect.fail(error.stdout),
  )
}

/** Does this compile in an application, with what it adds to its sessions? */
async function compileInApp(code: string): Promise<void> {
  const file = `snippet-${++files}.mts`
  await project.write(
    file,
    `import express from 'express'
    ${importStore}
    declare module 'express-session' {
      interface SessionData { user: string, browser: string, cart: string[], token: string, views: number }
    }
    const app = express()
    ${code}`,
  )
  await compile(file)
}

let files = 0

async function runModule(code: string): Promise<string> {
  const file = `snippet-${++files}.mjs`
  await project.write(file, code)
  return (await project.node(file)).stdout
}

const importStore = "import { MemcachedStore } from 'express-session-memcached'"

/** The beginning of an app with a store, and its end: what it does with its own address. */
function inApp(options: string, routes: string, visits: string): string {
  return `import express from 'express'
    import session from 'express-session'
    ${importStore}
    const store = new MemcachedStore(${options})
    const app = express()
    app.use(session({ store, secret: 'x', resave: false, saveUninitialized: false }))
    ${routes}
    const listener = app.listen(0, '127.0.0.1', async () => {
      const url = 'http://127.0.0.1:' + listener.address().port
      ${visits}
      await store.close()
      listener.close()
      listener.closeAllConnections()
    })`
}

describe('README.md', () => {
  const countsVisits = async (file: string, more: NodeJS.ProcessEnv = {}): Promise<void> => {
    const env = { MEMCACHED_SERVERS: server.address, ...more }
    let cookie: string
    {
      await using app = await PastedApp.start(project.folder, file, env)
      const first = await app.visit()
      cookie = first.cookie
      expect(first.text).toBe('You have been here 1 times')
      expect((await app.visit(cookie)).text).toBe('You have been here 2 times')
    }
    await using again = await PastedApp.start(project.folder, file, env)
    expect((await again.visit(cookie)).text).toBe('You have been here 3 times')
  }

  test('is under 200 lines', () => {
    expect(readme.text.split('\n').length).toBeLessThan(200)
  })

  test('the complete server counts visits, and still does after a restart', async () => {
    await project.write('server.mjs', readme.snippet('js', 'app.listen'))
    await countsVisits('server.mjs')
  })

  test('in TypeScript, too', async () => {
    await project.write(
      'server.mts',
      readme.snippet('js', 'app.listen') + readme.snippet('ts', 'SessionData'),
    )
    await compile('server.mts')
    await countsVisits(join('out', 'server.mjs'))
    // `npx tsx server.mts`, without the processes between.
    await countsVisits('server.mts', { NODE_OPTIONS: '--import tsx' })
  })

  test('the embedded memcached serves a store', async () => {
    const out = await runModule(`${readme.snippet('js', 'EmbeddedMemcached')}
      await store.set('a', { cookie: {}, name: 'Ada' })
      console.log((await store.get('a')).name)
      await store.close()
      await server.stop()`)
    expect(out).toBe('Ada\n')
  })

  test('leaves nothing out', () => expect(readme.leftOut).toEqual([]))
})

describe('docs/overlap.md', () => {
  let page: Page
  beforeAll(async () => {
    page = await Page.read('docs/overlap.md')
  })

  test('update counts exactly, and a conflict is told of', async () => {
    const out = await runModule(`${importStore}
      const store = new MemcachedStore({ servers: '${server.address}' })
      const req = { sessionID: 'update' }
      await store.set('update', { cookie: {} })
      await Promise.all(Array.from({ length: 50 }, async () => {
        ${page.snippet('js', 'store.update')}
      }))
      console.log((await store.get('update')).views)
      ${page.snippet('js', "store.on('conflict'")}
      const [mine, theirs] = [await store.get('update'), await store.get('update')]
      mine.a = theirs.b = 1
      await store.set('update', mine)
      await store.set('update', theirs)
      await store.close()`)
    expect(out).toBe('50\nmerged\n')
  })

  test('a first request, whose session is not stored yet, counts in its own', async () => {
    const route = `app.get('/', async (req, res) => {
        ${page.snippet('js', 'store.update')}
        res.send('counted')
      })`
    const visits = `const first = await fetch(url)
      const cookie = first.headers.get('set-cookie').split(';')[0]
      await fetch(url, { headers: { cookie } })
      const sid = decodeURIComponent(cookie).slice('connect.sid=s:'.length).split('.')[0]
      console.log((await store.get(sid)).views)`
    expect(await runModule(inApp(`{ servers: '${server.address}' }`, route, visits))).toBe('2\n')
    await compileInApp(`const store = new MemcachedStore()\n${route}`)
  })

  test('a socket that reloads before it saves keeps what came between, and revives nobody', async () => {
    const out = await runModule(`import { EventEmitter, once } from 'node:events'
      ${importStore}
      const store = new MemcachedStore({ servers: '${server.address}' })
      await store.set('socket', { cookie: {}, cart: [] })
      const request = { sessionID: 'socket', sessionStore: store }
      store.createSession(request, await store.get('socket'))
      const io = new EventEmitter()
      const socket = new EventEmitter()
      socket.request = request
      socket.disconnect = () => socket.emit('disconnect')
      ${page.snippet('js', 'socket.request')}
      io.emit('connection', socket)
      await store.update('socket', session => { session.cart.push('tea') })
      await new Promise(done => socket.emit('add to cart', 'milk', done))
      console.log((await store.get('socket')).cart.join())
      await store.destroy('socket')
      const gone = once(socket, 'disconnect')
      socket.emit('add to cart', 'sugar', () => console.log('saved'))
      await gone
      console.log(await store.get('socket'))
      await store.close()`)
    expect(out).toBe('tea,milk\nnull\n')
  })

  test('leaves nothing out', () => expect(page.leftOut).toEqual([]))
})

test('docs/users-and-locks.md compiles in TypeScript', async () => {
  const page = await Page.read('docs/users-and-locks.md')
  await compileInApp(`
    declare const sid: string
    declare const charge: (cart: string[], options: { signal: AbortSignal | undefined }) => Promise<void>
    declare const rotate: (token: string, options: { signal: AbortSignal }) => Promise<string>
    ${page.snippet('js', 'userOf')}
    ${page.snippet('js', 'exclusive')}
    ${page.snippet('js', 'withLock')}`)
})

describe('docs/outages.md', () => {
  let page: Page
  beforeAll(async () => {
    page = await Page.read('docs/outages.md')
  })

  test('a visitor without a cookie gets a 200 and no stored session, but not at the login', async () => {
    const routes = `app.get('/', (req, res) => { req.session.user = 'ada'; res.send('hello') })
      ${page.snippet('js', '/login')}
      const told = new Promise(resolve => app.use((error, req, res, next) => {
        if (res.headersSent) return resolve(error)
        res.sendStatus(error.status)
      }))`
    const visits = `const answer = await fetch(url)
      console.log(answer.status, answer.headers.has('set-cookie'), (await told).code)
      console.log((await fetch(url + '/login')).status)`
    const out = await runModule(inApp(`{ servers: '127.0.0.1:${await freePort()}' }`, routes, visits))
    expect(out).toBe('200 true ERR_UNAVAILABLE\n503\n')
  })

  test('anonymous: visitors are served without a session', async () => {
    const code = page.snippet('js', 'anonymous').replace('{ ', `{ servers: '127.0.0.1:${await freePort()}', `)
    const out = await runModule(
      inApp(
        '{}',
        `app.get('/', (req, res) => res.send(String(req.session)))`,
        `await store.get('a').catch(() => {})
         console.log(await (await fetch(url)).text())`,
      ).replace('const store = new MemcachedStore({})', code),
    )
    expect(out).toBe('no sessions\nundefined\n')
  })

  test('leaves nothing out', () => expect(page.leftOut).toEqual([]))
})

describe('docs/stored-form.md', () => {
  test.skipIf(!hasPython)(
    `Python reads a session${hasPython ? '' : ' (needs python3-memcache)'}`,
    async () => {
      const page = await Page.read('docs/stored-form.md')
      await using store = new MemcachedStore({ servers: server.address })
      await store.set('python', { cookie: { originalMaxAge: null }, name: 'Ada' } as never)
      const code = page.snippet('python', 'memcache').replace('127.0.0.1:11211', server.address)
      const { stdout } = await run(python, ['-c', `sid = 'python'\n${code}\nprint(session['name'])`])
      expect(stdout).toBe('Ada\n')
    },
  )
})

describe('docs/sealing.md', () => {
  let page: Page
  beforeAll(async () => {
    page = await Page.read('docs/sealing.md')
  })

  test('seals, with keys from the environment', async () => {
    const out = await runModule(`${importStore}
      process.env.MEMCACHED_SERVERS = '${server.address}'
      process.env.SESSION_KEYS = '${'a'.repeat(32)} ${'b'.repeat(32)}'
      ${page.snippet('js', 'SESSION_KEYS')}
      await store.set('a', { cookie: {}, name: 'Ada' })
      console.log((await store.get('a')).name, (await store.stats()).sealed)
      await store.close()`)
    expect(out).toBe('Ada 1\n')
  })

  test('leaves nothing out', () => expect(page.leftOut).toEqual([]))
})
