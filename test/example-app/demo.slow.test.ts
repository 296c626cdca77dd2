import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { describe, expect, test } from 'vitest'
import { answers as isMemcached } from '../../example-app/src/memcached/ask.ts'
import { until } from '../support/until.ts'
import { answers, start, Visitor } from './command-line.ts'

describe('npm start', () => {
  // Without memcached on the PATH, the demo runs on embedded servers.
  test.each([
    ['what is there', {}],
    ['embedded servers', { PATH: '/nowhere' }],
  ])('-- --demo: two processes share the sessions and the trouble, on %s', async (_, env) => {
    const { child, output } = start(['--demo'], env)
    const urls = await until(() => {
      const found = output().match(/http:\/\/localhost:\d+/g)
      return child.exitCode !== null || found?.length === 2 ? found : null
    }, 60_000).catch(() => null)
    if (urls?.length !== 2) throw new Error(`It did not start: ${output()}`)
    const [one, other] = urls as unknown as [string, string]
    expect(one).not.toBe(other)

    const visitor = new Visitor()
    await visitor.send(`${one}/sign-in`, { name: 'Ada' })
    await visitor.send(`${one}/values`, { key: 'where', value: '"in the first process"' })
    expect(await visitor.send(other)).toContain('in the first process')

    const news = await visitor.send(`${other}/place`)
    // Three servers, and what is behind them.
    expect(news.match(/data-up="yes"/g)).toHaveLength(4)
    expect(news.match(/holds this session/g)).toHaveLength(1)
    const home = /Home server<\/dt><dd><code>([^<]+)/.exec(news)?.[1] as string
    const idle = Array.from(
      news.matchAll(/name="server" value="([^"]+:\d+)"/g),
      ([, address]) => address as string,
    ).find(address => address !== home) as string
    for (const [from, server] of [
      [one, idle],
      [other, home],
    ] as const) {
      await visitor.send(`${from}/trouble`, { server, do: 'stop' })
    }
    expect(await visitor.send(`${one}/place`)).toMatch(/memcached on .* does not answer, and you are still/)
    for (const [from, server] of [
      [one, home],
      [other, idle],
    ] as const) {
      await visitor.send(`${from}/trouble`, { server, do: 'bring-back' })
    }
    await until(async () => (await visitor.send(`${other}/health`)).includes('true'))

    // All of memcached goes and comes back empty: what was there and what was put in meanwhile is there.
    expect(output()).toContain('Behind them is a durable store')
    await visitor.send(`${one}/sign-in`, { name: 'Ada' })
    await visitor.send(`${one}/values`, { key: 'before', value: '"the outage"' })
    await visitor.send(`${other}/trouble`, { server: 'all', do: 'stop' })
    expect(await visitor.send(`${other}/place`)).toContain('memcached is gone, and you are still signed in')
    await visitor.send(`${other}/values`, { key: 'during', value: '"still the outage"' })
    expect(await visitor.send(one)).toContain('still the outage')
    await visitor.send(`${one}/trouble`, { server: 'all', do: 'bring-back' })
    await until(async () => (await visitor.send(`${other}/place`)).includes('holds this session'))
    for (const url of [one, other]) {
      const page = await visitor.send(url)
      expect(page).toContain('"before"')
      expect(page).toContain('still the outage')
      expect(page).toContain('<dt>Failed calls</dt><dd>0</dd>')
    }

    const ended = once(child, 'exit')
    // Twice, as a Ctrl+C comes that npm passes on.
    child.kill('SIGINT')
    child.kill('SIGINT')
    expect(await ended).toEqual([0, null])
    expect(await Promise.all(urls.map(answers))).toEqual([false, false])
    const servers = Array.from(output().matchAll(/127\.0\.0\.1:\d+(?=[, ])/g), ([address]) => address)
    expect(servers).toHaveLength(3)
    expect(await Promise.all(servers.map(isMemcached))).toEqual([false, false, false])
  })

  test.each([
    ['what is there', {}],
    ['the embedded server', { PATH: '/nowhere' }],
  ])('says that a port is taken, and which to take, with %s', async (_, env) => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { port } = other.address() as AddressInfo
    const { child, output } = start([], { PORT: String(port), ...env })
    expect(await once(child, 'close')).toEqual([1, null])
    expect(output()).toContain(`Port ${port} is taken`)
    expect(output()).toContain(`PORT=${port + 1} npm start`)
    other.close()
  })

  test('-- --demo says so of the demo, which takes two ports', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { port } = other.address() as AddressInfo
    const { child, output } = start(['--demo'], { PORT: String(port) })
    expect(await once(child, 'close')).toEqual([1, null])
    // Another test may have the next one.
    const taken = Number(/Port (\d+) is taken/.exec(output())?.[1])
    expect([port, port + 1]).toContain(taken)
    expect(output()).toContain(`PORT=${taken + 2} npm start -- --demo`)
    other.close()
  })

  test('-- --demo goes on without a durable store where PGlite cannot be had, and says so', async () => {
    const hooks = `export async function resolve(name, context, next) {
      if (name === '@electric-sql/pglite') throw new Error('not on this machine')
      return next(name, context)
    }`
    const registers = `import { register } from 'node:module'; register(${JSON.stringify(asModule(hooks))})`
    const { child, output } = start(['--demo'], { NODE_OPTIONS: `--import=${asModule(registers)}` })
    await until(() => child.exitCode !== null || output().includes('Ctrl+C'), 20_000)
    expect(output()).toContain(
      'No durable store is behind them: PGlite did not start here (not on this machine)',
    )
    const [url] = output().match(/http:\/\/localhost:\d+/) as unknown as [string]
    const visitor = new Visitor()
    await visitor.send(`${url}/sign-in`, { name: 'Ada' })
    const page = await visitor.send(url)
    expect(page).toContain('holds this session')
    expect(page).not.toContain('durable store')
    expect(page).not.toContain('Stop all')
  })

  test('-- --help says what there is', async () => {
    const { child, output } = start(['--help'])
    expect(await once(child, 'close')).toEqual([0, null])
    expect(output()).toContain('--demo')
  })

  test('names an option that there is not', async () => {
    const { child, output } = start(['--dmeo'])
    expect(await once(child, 'close')).toEqual([1, null])
    expect(output()).toContain('There is no option --dmeo')
    expect(output()).not.toContain('at ')
  })
})

function asModule(source: string): string {
  return `data:text/javascript,${encodeURIComponent(source)}`
}
