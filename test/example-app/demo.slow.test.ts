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
    }, 20_000)
    const [one, other] = urls as unknown as [string, string]
    expect(one).not.toBe(other)

    const visitor = new Visitor()
    await visitor.send(`${one}/sign-in`, { name: 'Ada' })
    await visitor.send(`${one}/values`, { key: 'where', value: '"in the first process"' })
    expect(await visitor.send(other)).toContain('in the first process')

    const news = await visitor.send(`${other}/place`)
    expect(news.match(/data-up="yes"/g)).toHaveLength(3)
    expect(news.match(/holds this session/g)).toHaveLength(1)
    const home = /Home server<\/dt><dd><code>([^<]+)/.exec(news)?.[1] as string
    const idle = Array.from(
      news.matchAll(/name="server" value="([^"]+)"/g),
      ([, address]) => address as string,
    ).find(address => address !== home) as string
    for (const [from, server] of [
      [one, idle],
      [other, home],
    ] as const) {
      await visitor.send(`${from}/trouble`, { server, do: 'stop' })
    }
    expect(await visitor.send(`${one}/place`)).toMatch(/memcached on .* does not answer/)
    for (const [from, server] of [
      [one, home],
      [other, idle],
    ] as const) {
      await visitor.send(`${from}/trouble`, { server, do: 'bring-back' })
    }
    await until(async () => (await visitor.send(`${other}/health`)).includes('true'))

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
    expect(output()).toContain(`PORT=${port + 2} npm start -- --demo`)
    other.close()
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
