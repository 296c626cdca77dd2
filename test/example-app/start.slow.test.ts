import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { answers as isMemcached } from '../../example-app/src/memcached/ask.ts'
import { EmbeddedMemcached } from '../../lib/embedded/index.ts'
import { NOBODY } from '../support/port.ts'
import { until } from '../support/until.ts'
import { answers, npmStart, type Started, start, urlOf, Visitor } from './command-line.ts'

const read = (path: string): Promise<string> =>
  readFile(fileURLToPath(new URL(`../../${path}`, import.meta.url)), 'utf8')

async function end({ child }: Started): Promise<void> {
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  await ended
}

describe('npm start', () => {
  test('prints what matters, and leaves nothing behind when it is ended', async () => {
    const app = npmStart()
    const url = await urlOf(app)
    // npm says what it runs, and warns of settings that are not ours.
    const lines = app
      .output()
      .split('\n')
      .filter(line => line !== '' && !/^(>|npm )/.test(line))
    const [where, open, ...more] = lines.filter(line => line !== 'Building the package …')
    expect(where).toContain('Sessions are kept in')
    expect(open).toContain(`Open ${url}`)
    expect(more).toEqual([])
    const memcached = /127\.0\.0\.1:\d+(?=, started by this app)/.exec(app.output())?.[0]
    app.child.kill('SIGTERM')
    await until(async () => !(await answers(url)), 20_000)
    if (memcached !== undefined) await until(async () => !(await isMemcached(memcached)), 20_000)
  })

  test('names one address for this computer, whatever it listens to', async () => {
    for (const HOST of ['127.0.0.1', '0.0.0.0']) {
      const app = start([], { HOST })
      expect(await urlOf(app)).toMatch(/^http:\/\/localhost:\d+$/)
      expect(app.output()).not.toMatch(/http:\/\/(127|0)\./)
      await end(app)
    }
  })

  test('says at once that nobody answers where MEMCACHED_SERVERS says, and so does the page, which keeps the name', async () => {
    const app = start([], { MEMCACHED_SERVERS: NOBODY })
    const url = await urlOf(app)
    expect(app.output()).toContain(`No memcached answers on ${NOBODY}`)
    expect(app.output()).not.toContain('Sessions are kept')
    const response = await fetch(`${url}/sign-in`, {
      method: 'POST',
      body: new URLSearchParams({ name: 'Ada' }),
    })
    const text = await response.text()
    expect(response.status).toBe(503)
    expect(text).toContain(NOBODY)
    expect(text).toContain('value="Ada"')
    await end(app)
  })

  test('refuses a PUBLIC_URL that is none', async () => {
    const { child, output } = start([], { PUBLIC_URL: 'localhost:3000' })
    expect(await once(child, 'close')).toEqual([1, null])
    expect(output()).toContain('Expected PUBLIC_URL to be like')
  })
})

describe('the image', () => {
  test('listens beyond its loopback, and keeps its secret where a volume is', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'example-app-'))
    const memcached = await EmbeddedMemcached.start()
    const dockerfile = await read('example-app/Dockerfile')
    const said = Array.from(dockerfile.matchAll(/^ENV (.*)$/gm), ([, pairs]) =>
      (pairs as string).split(' '),
    ).flat()
    const env = Object.fromEntries(said.map(pair => pair.replace('=/data/', `=${folder}/`).split('=')))
    expect(env).toMatchObject({ HOST: '0.0.0.0', SESSION_SECRET_FILE: join(folder, 'session-secret') })
    expect(dockerfile).toContain('VOLUME /data')
    expect(await read('docker-compose.yml')).toContain('example-app:/data')

    const visitor = new Visitor()
    for (const n of [1, 2]) {
      const app = start([], { ...env, SESSION_SECRET: '', MEMCACHED_SERVERS: memcached.address })
      const url = await urlOf(app)
      if (n === 1) await visitor.send(`${url}/sign-in`, { name: 'Ada' })
      expect(await visitor.send(url)).toContain('Ada’s session')
      await end(app)
    }
    await memcached.stop()
    await rm(folder, { recursive: true })
  })
})
