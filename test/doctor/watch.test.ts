import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { getEventListeners, once } from 'node:events'
import { text } from 'node:stream/consumers'
import { describe, expect, onTestFinished, test } from 'vitest'
import { checkUp, inText } from '../../lib/cli/doctor.ts'
import { watch } from '../../lib/cli/watch.ts'
import { parseServers } from '../../lib/memcached/address.ts'
import { hasMemcached } from '../support/memcached.ts'
import { until } from '../support/until.ts'
import { main, UpToDate } from './run.ts'

async function start(...flags: string[]): Promise<UpToDate> {
  const server = await UpToDate.start(...flags)
  onTestFinished(() => server[Symbol.asyncDispose]())
  return server
}

describe('watch', () => {
  test('draws over what it drew, and gives the code of its last look', async () => {
    const end = new AbortController()
    const drawn: string[] = []
    let looks = 0
    const look = async (): Promise<{ text: string; code: number }> => {
      if (++looks === 3) end.abort()
      return { text: `look ${looks}\n`, code: looks }
    }
    const terminal = { isTTY: true, write: (part: string) => drawn.push(part) }
    expect(await watch(look, terminal, end.signal, 1)).toBe(3)
    expect(drawn).toHaveLength(3)
    for (const [index, part] of drawn.entries()) {
      expect(part.startsWith('\x1b[H')).toBe(true)
      expect(part.endsWith(`look ${index + 1}\x1b[K\n\x1b[J`)).toBe(true)
    }
  })

  test('writes no such thing where there is no terminal', async () => {
    const end = new AbortController()
    let output = ''
    const look = async (): Promise<{ text: string; code: number }> => {
      end.abort()
      return { text: 'well\n', code: 0 }
    }
    await watch(look, { write: part => (output += part) }, end.signal, 1)
    expect(output).toMatch(/well\n\n$/)
    expect(output).not.toContain('\x1b')
  })

  test.skipIf(!hasMemcached)('leaves nothing behind, however often it looks', async () => {
    const server = await start()
    const addresses = parseServers(server.address)
    const end = new AbortController()
    const before = alive()
    let looks = 0
    const look = async (): Promise<{ text: string; code: number }> => {
      expect(getEventListeners(end.signal, 'abort')).toEqual([])
      const checked = await checkUp({ addresses, prefix: 'sess:', timeout: 60_000 }, { write() {} })
      if (++looks === 8) end.abort()
      return { text: inText(checked, 'sess:'), code: checked.code }
    }
    await watch(look, { write() {} }, end.signal, 0)
    expect(looks).toBe(8)
    await until(() => server.open === 0 && alive() <= before)
  })
})

/** Sockets of this process. */
function alive(): number {
  return process.getActiveResourcesInfo().filter(kind => kind.startsWith('TCPSocket')).length
}

describe.skipIf(!hasMemcached)('the command doctor --watch', () => {
  test.each(['SIGINT', 'SIGTERM'] as const)('ends cleanly at %s', async signal => {
    const server = await start('-M')
    const child = spawn(process.execPath, [main, 'doctor', '--watch', '--timeout', '60000', server.address], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    const output = collected(child)
    const complaint = text(child.stderr)
    const gone = once(child, 'exit')
    await until(() => output().includes('finding.\n'), 60_000)
    child.kill(signal)
    expect(await gone).toEqual([1, null])
    expect(await complaint).toBe('')
    await until(() => server.open === 0)
  })

  test.skipIf(spawnSync('script', ['--version']).status !== 0)('redraws on a terminal', async () => {
    const server = await start()
    // `exec`: a shell of its own, such as dash, would die of Ctrl-C itself.
    const command = `exec ${process.execPath} ${main} doctor --watch --timeout 60000 ${server.address}`
    const child = spawn('script', ['-qefc', command, '/dev/null'], { stdio: ['pipe', 'pipe', 'pipe'] })
    onTestFinished(() => void child.kill('SIGKILL'))
    const output = collected(child)
    const gone = once(child, 'exit')
    await until(() => output().split('\x1b[H').length > 2, 60_000)
    // Ctrl-C, as a terminal sends it.
    child.stdin.write('\x03')
    expect(await gone).toEqual([0, null])
    await until(() => server.open === 0)
  })
})

/** What a process has said so far. */
function collected(child: ChildProcess): () => string {
  let said = ''
  child.stdout?.on('data', part => {
    said += part
  })
  return () => said
}
