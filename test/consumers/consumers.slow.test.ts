import { execFile } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { copyFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest'
import { Page } from '../docs/page.ts'
import { PastedApp } from '../docs/pasted-app.ts'
import { Project } from '../package/project.ts'
import { Browser, ConsumerApp, connect, keptUpdates, undoneLogouts } from './consumer-app.ts'

// Apps as people have them, on the packed package and real memcached. docs/frameworks.md says what is seen here.

const run = promisify(execFile)
const servers = inject('memcached') as string

let project: Project
let app: ConsumerApp

beforeAll(async () => {
  if (servers !== null) project = await Project.ofConsumers()
}, 300_000)

afterAll(() => project?.[Symbol.asyncDispose]())

const start = (file: string, env?: NodeJS.ProcessEnv): Promise<ConsumerApp> =>
  ConsumerApp.start(join(project.folder, file), servers, env)

const env = (): NodeJS.ProcessEnv => ({ MEMCACHED_SERVERS: servers })

/** Compiles TypeScript beside its source, so that `a.mts` becomes `a.mjs`. */
async function compile(file: string): Promise<void> {
  const tsc = join(project.folder, 'node_modules/typescript6.0/bin/tsc')
  const flags = '--strict --module nodenext --target es2022 --types node'.split(' ')
  const decorators = ['--experimentalDecorators', '--emitDecoratorMetadata']
  await run(process.execPath, [tsc, ...flags, ...decorators, file], { cwd: project.folder }).catch(error =>
    expect.fail(error.stdout),
  )
}

function keepsGuarantees(): void {
  test('keeps 250 of 250 overlapping updates', async () => {
    expect(await keptUpdates(app)).toBe(250)
  })

  test('undoes none of 5 logouts', async () => {
    expect(await undoneLogouts(app)).toBe(0)
  })
}

/** Starts an app for each test of a `describe`. */
function withApp(file: string, env?: NodeJS.ProcessEnv): void {
  beforeEach(async () => {
    app = await start(file, env)
  })
  afterEach(() => app[Symbol.asyncDispose]())
}

describe.skipIf(servers === null)('Express', () => {
  describe.each([
    ['5, JavaScript, ESM', 'express.mjs'],
    ['4, JavaScript, CommonJS', 'express4.cjs'],
  ])('%s', (_, file) => {
    withApp(file)
    keepsGuarantees()
  })

  describe.each([
    ['ESM', 'mts', 'mjs'],
    ['CommonJS', 'cts', 'cjs'],
  ])('5, TypeScript, %s', (_, source, compiled) => {
    beforeAll(async () => {
      const file = join(project.folder, 'typescript.')
      if (source !== 'mts') await copyFile(`${file}mts`, file + source)
      await compile(`typescript.${source}`)
    })
    withApp(`typescript.${compiled}`)
    keepsGuarantees()
  })

  describe('in one file by esbuild, where there is no node_modules', () => {
    let folder: string
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'bundle-'))
      const esbuild = join(project.folder, 'node_modules/esbuild/bin/esbuild')
      const flags = ['--bundle', '--platform=node', '--format=cjs', `--outfile=${join(folder, 'app.cjs')}`]
      await run(esbuild, ['express.mjs', ...flags], { cwd: project.folder })
    })
    afterAll(() => rm(folder, { recursive: true, force: true }))
    beforeEach(async () => {
      app = await ConsumerApp.start(join(folder, 'app.cjs'), servers)
    })
    afterEach(() => app[Symbol.asyncDispose]())
    keepsGuarantees()
  })
})

describe.skipIf(servers === null)('NestJS on Express', () => {
  beforeAll(() => compile('nest.mts'))
  withApp('nest.mjs')
  keepsGuarantees()
})

describe.skipIf(servers === null)('Passport', () => {
  withApp('passport.mjs')
  keepsGuarantees()

  test('gives a new session at the login, in which the old one has ended', async () => {
    const browser = new Browser(app)
    const edit = browser.get('/edit?key=cart')
    await app.loaded(1)
    app.open()
    await edit
    const before = browser.tab()
    await browser.get('/login?username=ada&password=right')
    expect(browser.cookie).not.toBe(before.cookie)
    expect(await browser.get('/user')).toEqual({ id: 'ada' })
    expect(await before.get('/user')).toBeNull()
    expect(await before.get('/session')).not.toHaveProperty('cart')
  })

  test('lets nobody in with a wrong password, and nobody stay after a logout', async () => {
    const browser = new Browser(app)
    expect((await browser.fetch('/login?username=ada&password=wrong')).status).toBe(401)
    await browser.get('/login?username=ada&password=right')
    const old = browser.tab()
    await browser.get('/logout')
    expect(await browser.get('/user')).toBeNull()
    expect(await old.get('/user')).toBeNull()
  })
})

describe.skipIf(servers === null)('connect-flash', () => {
  withApp('connect-flash.mjs')
  keepsGuarantees()

  test('shows a message on the page after the redirect, once', async () => {
    const browser = new Browser(app)
    const { status, headers } = await browser.fetch('/leave?message=saved')
    expect(status).toBe(302)
    expect(await browser.get(headers.get('location') as string)).toEqual(['saved'])
    expect(await browser.get('/read')).toEqual([])
  })

  test.each([
    ['of two kinds keeps both', ['info', 'error'], { info: ['0'], error: ['1'] }],
    ['of one kind keeps one', ['info', 'info'], { info: [expect.stringMatching(/^[01]$/)] }],
  ])('in overlapping requests that leave messages %s', async (_, kinds, expected) => {
    const browser = new Browser(app)
    await browser.get('/login?user=ada')
    const left = kinds.map((kind, index) => browser.tab().get(`/leave-late?kind=${kind}&message=${index}`))
    await app.loaded(2)
    app.open()
    await Promise.all(left)
    expect(await browser.get('/read-all')).toEqual(expected)
  })
})

describe.skipIf(servers === null)('csrf-sync', () => {
  withApp('csrf-sync.mjs')
  keepsGuarantees()

  const order = (browser: Browser, token: unknown): Promise<Response> =>
    browser.fetch('/order', { method: 'POST', headers: { 'x-csrf-token': String(token) } })

  test('takes the token of this session, and of no other', async () => {
    const [browser, other] = [new Browser(app), new Browser(app)]
    const [token, foreign] = [await browser.get('/token'), await other.get('/token')]
    expect(await (await order(browser, token)).json()).toBe(1)
    expect((await order(browser, foreign)).status).toBe(403)
    expect(await (await order(browser, token)).json()).toBe(2)
  })

  test('whose token is made while other requests save it', async () => {
    const browser = new Browser(app)
    await browser.get('/login?user=ada')
    const edits = Array.from({ length: 10 }, (_, number) => browser.tab().get(`/edit?key=key-${number}`))
    await app.loaded(10)
    const token = await browser.get('/token')
    app.open()
    await Promise.all(edits)
    expect((await order(browser, token)).status).toBe(200)
  })
})

describe.skipIf(servers === null)('express-rate-limit', () => {
  withApp('express-rate-limit.mjs')
  keepsGuarantees()

  test('counts by session', async () => {
    const browser = new Browser(app)
    await browser.get('/login?user=ada')
    for (const visits of [1, 2, 3]) expect(await browser.get('/limited')).toBe(visits)
    expect((await browser.fetch('/limited')).status).toBe(429)
    const other = new Browser(app)
    await other.get('/login?user=bob')
    expect(await other.get('/limited')).toBe(1)
    expect(await browser.get('/session')).toMatchObject({ user: 'ada', visits: 3 })
  })
})

/** Sockets that share the session of the pages. */
function sharesWithSockets(): void {
  test('a socket that reloads before it saves keeps what pages have saved meanwhile', async () => {
    const browser = new Browser(app)
    await browser.get('/login?user=ada')
    const socket = await browser.connect()
    const page = browser.get('/edit?key=page')
    await app.loaded(1)
    app.open()
    await page
    expect(await socket.emitWithAck('edit', 'socket')).toBe('saved')
    expect(await browser.get('/session')).toMatchObject({ user: 'ada', page: true, socket: true })
    socket.disconnect()
  })

  test.each(['edit', 'edit without reload'])(
    'a socket brings back no session that has ended: %s',
    async how => {
      const browser = new Browser(app)
      await browser.get('/login?user=ada')
      const old = browser.tab()
      const socket = await browser.connect()
      await browser.get('/logout')
      expect(await socket.emitWithAck(how, 'socket')).toBe(how === 'edit' ? 'gone' : 'saved')
      const session = await old.get('/session')
      expect(session).not.toHaveProperty('user')
      expect(session).not.toHaveProperty('socket')
      socket.disconnect()
    },
  )
}

describe.skipIf(servers === null)('Socket.IO on Express', () => {
  withApp('socket.io.mjs')
  keepsGuarantees()
  sharesWithSockets()
})

describe.skipIf(servers === null)('@fastify/session with `withRevisions`', () => {
  withApp('fastify.mjs')
  keepsGuarantees()
  sharesWithSockets()

  test('undoes no logout by a request that reloads its session', async () => {
    expect(await undoneLogouts(app, '/reload?key=slow')).toBe(0)
  })

  test('takes nothing back that others have saved between two saves of one request', async () => {
    const browser = new Browser(app)
    const login = browser.get('/login?user=ada')
    await login
    const slow = browser.tab().get('/edit-twice')
    await app.loaded(1)
    const other = browser.tab().get('/edit?key=old')
    await app.loaded(2)
    app.open()
    await Promise.all([slow, other])
    expect(await browser.get('/session')).toMatchObject({ user: 'ada', first: true, second: true, old: true })
  })

  test('keeps what others save while a request reloads', async () => {
    const browser = new Browser(app)
    await browser.get('/login?user=ada')
    const keys = Array.from({ length: 10 }, (_, number) => `key-${number}`)
    const edits = keys.map(key => browser.tab().get(`/reload?key=${key}`))
    await app.loaded(10)
    app.open()
    await Promise.all(edits)
    expect(Object.keys(await browser.get('/session'))).toEqual(expect.arrayContaining(keys))
  })

  test('deletes what a request has deleted', async () => {
    const browser = new Browser(app)
    await browser.get('/login?user=ada')
    const edit = browser.get('/edit?key=old')
    await app.loaded(1)
    app.open()
    expect(await edit).toMatchObject({ user: 'ada', old: true })
    const deletion = browser.get('/edit-twice')
    await app.loaded(1)
    app.open()
    await deletion
    expect(await browser.get('/session')).not.toHaveProperty('old')
  })

  test('writes nothing for a request that only reads', async () => {
    const browser = new Browser(app)
    await browser.get('/login?user=ada')
    const { writes } = await browser.get('/counts')
    for (let visit = 0; visit < 5; visit++) await browser.get('/session')
    expect((await browser.get('/counts')).writes).toBe(writes)
  })
})

describe.skipIf(servers === null)('@fastify/session without it', () => {
  withApp('fastify.mjs', { PLAIN: '1' })

  test('loses updates, and has logouts undone: what the page says of it', async () => {
    expect(await keptUpdates(app)).toBeLessThan(250)
    expect(await undoneLogouts(app)).toBe(5)
  })
})

describe.skipIf(servers === null)('TypeScript', () => {
  const types = fileURLToPath(new URL('../types', import.meta.url))
  const files = readdirSync(types).filter(file => file.endsWith('.mts'))
  beforeAll(() => Promise.all(files.map(file => copyFile(join(types, file), join(project.folder, file)))))

  test.each(['5.4', '5.9', '6.0'])(
    '%s knows the sessions of an application wherever they are',
    async version => {
      const tsc = join(project.folder, `node_modules/typescript${version}/bin/tsc`)
      const flags = '--noEmit --strict --skipLibCheck false --module nodenext --target es2022 --types node'
      const lib = ['--lib', 'es2022,esnext.disposable']
      await run(process.execPath, [tsc, ...flags.split(' '), ...lib, ...files], {
        cwd: project.folder,
      }).catch(error => expect.fail(error.stdout))
    },
  )
})

describe.skipIf(servers === null)('docs/frameworks.md', () => {
  let page: Page
  beforeAll(async () => {
    page = await Page.read('docs/frameworks.md')
  })

  test('shows a server with Fastify', async () => {
    await project.write('page-fastify.mjs', page.snippet('js', 'withRevisions'))
    await using pasted = await PastedApp.start(project.folder, 'page-fastify.mjs', env())
    const { text, cookie } = await pasted.visit()
    expect(text).toBe('You have been here 1 times')
    expect((await pasted.visit(cookie)).text).toBe('You have been here 2 times')
  })

  test('shows a server with Socket.IO', async () => {
    await project.write('page-sockets.mjs', page.snippet('js', 'socket.io'))
    await using pasted = await PastedApp.start(project.folder, 'page-sockets.mjs', env())
    const { cookie } = await pasted.visit()
    const [one, other] = [await connect(pasted.url, cookie), await connect(pasted.url, cookie)]
    await one.emitWithAck('add to cart', 'tea')
    await other.emitWithAck('add to cart', 'milk')
    expect((await pasted.visit(cookie)).text).toBe('tea,milk')
    one.disconnect()
    other.disconnect()
  })

  test('leaves nothing out', () => expect(page.leftOut).toEqual([]))
})

describe.skipIf(servers === null)('Jest', () => {
  test('runs a test of an app, with what its session needs', async () => {
    const jest = ['node_modules/jest/bin/jest.js', '--rootDir', project.folder]
    const { stderr } = await project.node(...(jest as [string, ...string[]]))
    expect(stderr).toContain('1 passed')
  })
})
