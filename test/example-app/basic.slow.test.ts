import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { EmbeddedMemcached } from '../../lib/embedded/index.ts'
import { freePort } from '../support/port.ts'
import { until } from '../support/until.ts'
import { Visitor } from './command-line.ts'

const path = (of: string): string => fileURLToPath(new URL(`../../${of}`, import.meta.url))
const read = (of: string): Promise<string> => readFile(path(of), 'utf8')

describe('examples/basic', () => {
  test.each(['server.mjs', 'server.mts'])('%s counts visits, and goes on after a restart', async file => {
    const memcached = await EmbeddedMemcached.start()
    onTestFinished(() => memcached.stop())
    const port = await freePort()
    const url = `http://127.0.0.1:${port}/`
    const visitor = new Visitor()
    for (const round of [0, 1]) {
      const server = spawn(process.execPath, ['--import', 'tsx', path(`examples/basic/${file}`)], {
        env: { ...process.env, PORT: String(port), MEMCACHED_SERVERS: memcached.address },
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      let output = ''
      for (const stream of [server.stdout, server.stderr]) stream.on('data', chunk => (output += chunk))
      onTestFinished(() => void server.kill('SIGKILL'))
      const isThere = await until(
        () =>
          fetch(url).then(
            ({ ok }) => ok,
            () => server.exitCode !== null,
          ),
        20_000,
      ).catch(() => false)
      expect({ isThere, exitCode: server.exitCode, output }).toMatchObject({ isThere: true, exitCode: null })
      for (const visit of [1, 2]) {
        expect(await visitor.send(url)).toBe(`You have been here ${round * 2 + visit} times`)
      }
      const ended = once(server, 'exit')
      server.kill('SIGKILL')
      await ended
    }
  })

  test('is what the README shows', async () => {
    const [readme, js, ts] = await Promise.all(
      ['README.md', 'examples/basic/server.mjs', 'examples/basic/server.mts'].map(read),
    )
    expect(readme).toContain(`\`\`\`js\n${js}\`\`\``)
    const augmentation = /```ts\n(declare module[^`]*)```/.exec(readme as string)?.[1] as string
    expect((ts as string).replace(`${augmentation}\n`, '')).toBe(js)
  })
})
