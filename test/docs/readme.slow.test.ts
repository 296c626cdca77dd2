import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { EmbeddedMemcached } from '../../lib/embedded/index.ts'
import { MemcachedStore } from '../../lib/index.ts'
import { until } from '../support/until.ts'

/** Runs what the README shows, as pasted, against the built package. */
const run = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))
const python = '/usr/bin/python3'
const hasPython = spawnSync(python, ['-c', 'import memcache']).status === 0

let readme: string
let folder: string
let server: EmbeddedMemcached

beforeAll(async () => {
  readme = await readFile(join(root, 'README.md'), 'utf8')
  folder = await mkdtemp(join(tmpdir(), 'readme-'))
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'))
  server = await EmbeddedMemcached.start()
})

afterAll(async () => {
  await server.stop()
  await rm(folder, { recursive: true })
})

/** The one block of this language that has this in it. */
function snippet(language: string, part: string): string {
  const blocks = [...readme.matchAll(/^```(\w+)\n(.*?)^```$/gms)]
  const found = blocks.filter(block => block[1] === language && block[2]?.includes(part))
  expect(found).toHaveLength(1)
  return found[0]?.[2] as string
}

async function runModule(code: string): Promise<string> {
  const file = join(folder, `${Math.random().toString(36).slice(2)}.mjs`)
  await writeFile(file, code)
  return (await run(process.execPath, [file])).stdout
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await new Promise(resolve => probe.once('listening', resolve))
  const { port } = probe.address() as { port: number }
  await new Promise(resolve => probe.close(resolve))
  return port
}

describe('README.md', () => {
  test('the complete server counts visits, and still does after a restart', async () => {
    await writeFile(join(folder, 'server.mjs'), snippet('js', 'app.listen'))
    const port = await freePort()
    const env = { ...process.env, PORT: String(port), MEMCACHED_SERVERS: server.address }
    const start = (): ChildProcess => spawn(process.execPath, ['server.mjs'], { cwd: folder, env })
    const visit = async (cookie = ''): Promise<Response | undefined> =>
      fetch(`http://127.0.0.1:${port}/`, { headers: { cookie } }).catch(() => undefined)

    let app = start()
    try {
      const first = await until(() => visit())
      expect(await first.text()).toBe('You have been here 1 times')
      const cookie = (first.headers.get('set-cookie') as string).split(';')[0] as string
      expect(await (await visit(cookie))?.text()).toBe('You have been here 2 times')
      app.kill()
      app = start()
      expect(await (await until(() => visit(cookie))).text()).toBe('You have been here 3 times')
    } finally {
      app.kill()
    }
  })

  test('the embedded memcached serves a store', async () => {
    const out = await runModule(`${snippet('js', 'EmbeddedMemcached')}
      await store.set('a', { cookie: {}, name: 'Ada' })
      console.log((await store.get('a')).name)
      await store.close()
      await server.stop()`)
    expect(out).toBe('Ada\n')
  })

  test('update counts exactly', async () => {
    const out = await runModule(`import { MemcachedStore } from 'express-session-memcached'
      const store = new MemcachedStore({ servers: '${server.address}' })
      const req = { sessionID: 'update' }
      await store.set('update', { cookie: {} })
      await Promise.all(Array.from({ length: 50 }, async () => {
        ${snippet('js', 'store.update')}
      }))
      console.log((await store.get('update')).views)
      await store.close()`)
    expect(out).toBe('50\n')
  })

  test('a user is signed out everywhere else', async () => {
    const code = snippet('js', 'destroyAllOf').replace('{ userOf', `{ servers: '${server.address}', userOf`)
    const [options, calls] = code.split('\n\n') as [string, string]
    const out = await runModule(`import { MemcachedStore } from 'express-session-memcached'
      ${options}
      const req = { sessionID: 'here' }
      for (const sid of ['here', 'there']) await store.set(sid, { cookie: {}, user: 'ada' })
      console.log((await store.sessionsOf('ada')).map(({ sid }) => sid).join())
      ${calls}
      console.log((await store.sessionsOf('ada')).map(({ sid }) => sid).join())
      await store.close()`)
    expect(out).toBe('there,here\nhere\n')
  })

  test('a socket that reloads before it saves keeps what came between, and revives nobody', async () => {
    const out = await runModule(`import { EventEmitter, once } from 'node:events'
      import { MemcachedStore } from 'express-session-memcached'
      const store = new MemcachedStore({ servers: '${server.address}' })
      await store.set('socket', { cookie: {}, cart: [] })
      const request = { sessionID: 'socket', sessionStore: store }
      store.createSession(request, await store.get('socket'))
      const io = new EventEmitter()
      const socket = new EventEmitter()
      socket.request = request
      socket.disconnect = () => socket.emit('disconnect')
      ${snippet('js', 'socket.request')}
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

  test('during an outage a visitor without a cookie gets a 200 and no stored session', async () => {
    const out = await runModule(`import express from 'express'
      import session from 'express-session'
      import { MemcachedStore } from 'express-session-memcached'
      const store = new MemcachedStore({ servers: '127.0.0.1:${await freePort()}' })
      const app = express()
      app.use(session({ store, secret: 'x', resave: false, saveUninitialized: false }))
      app.get('/', (req, res) => { req.session.user = 'ada'; res.send('hello') })
      app.get('/login', (req, res, next) => {
        req.session.user = 'ada'
        req.session.save(error => error ? next(error) : res.send('hello'))
      })
      const told = new Promise(resolve => app.use((error, req, res, next) => {
        if (res.headersSent) return resolve(error)
        res.sendStatus(error.status)
      }))
      const listener = app.listen(0, '127.0.0.1', async () => {
        const url = 'http://127.0.0.1:' + listener.address().port
        const answer = await fetch(url)
        console.log(answer.status, answer.headers.has('set-cookie'), (await told).code)
        console.log((await fetch(url + '/login')).status)
        await store.close()
        listener.close()
        listener.closeAllConnections()
      })`)
    expect(out).toBe('200 true ERR_UNAVAILABLE\n503\n')
  })

  test('exclusive requests count exactly', async () => {
    const out = await runModule(`import express from 'express'
      import session from 'express-session'
      import { MemcachedStore } from 'express-session-memcached'
      const store = new MemcachedStore({ servers: '${server.address}' })
      const app = express()
      app.use(session({ store, secret: 'x', resave: false, saveUninitialized: false }))
      app.get('/', (req, res) => { req.session.orders = 0; res.send('') })
      ${snippet('js', 'store.exclusive')}
      const listener = app.listen(0, '127.0.0.1', async () => {
        const url = 'http://127.0.0.1:' + listener.address().port
        const cookie = (await fetch(url)).headers.get('set-cookie').split(';')[0]
        const order = () => fetch(url + '/checkout', { method: 'POST', headers: { cookie } }).then(res => res.text())
        console.log((await Promise.all(Array.from({ length: 20 }, order))).includes('Order 20'))
        await store.close()
        listener.close()
        listener.closeAllConnections()
      })`)
    expect(out).toBe('true\n')
  })

  test.skipIf(!hasPython)(
    `Python reads a session${hasPython ? '' : ' (needs python3-memcache)'}`,
    async () => {
      await using store = new MemcachedStore({ servers: server.address })
      await store.set('python', { cookie: { originalMaxAge: null }, name: 'Ada' } as never)
      const code = snippet('python', 'memcache').replace('127.0.0.1:11211', server.address)
      const { stdout } = await run(python, ['-c', `sid = 'python'\n${code}\nprint(session['name'])`])
      expect(stdout).toBe('Ada\n')
    },
  )
})
