import { spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { fill, sidOf } from '../listing/fill.ts'
import { fewOrMany } from '../support/few-or-many.ts'
import { hasMemcached } from '../support/memcached.ts'
import { NOBODY } from '../support/port.ts'
import { main, run, UpToDate } from './run.ts'

async function start(...flags: string[]): Promise<UpToDate> {
  const server = await UpToDate.start(...flags)
  onTestFinished(() => server[Symbol.asyncDispose]())
  return server
}

describe('the command', () => {
  test('--help', async () => {
    for (const args of fewOrMany([['--help']], [['--help'], ['-h'], ['help'], ['doctor', '--help']])) {
      const { code, output, complaint } = await run(args)
      expect(code).toBe(0)
      expect(output).toMatch(/^Usage: npx express-session-memcached doctor \[servers\]/)
      expect(complaint).toBe('')
      expect(output).toMatch(/Exit code: 0 .*, 1 .*, 2 /)
    }
  })

  test.each([
    [[], 'Expected a command: there are `doctor` and `plan`'],
    [['doktor'], 'Unknown command: there are `doctor` and `plan`'],
    [['user:secret@localhost'], 'Unknown command'],
    [['plan', 'user:secret@localhost'], 'Unexpected argument'],
    [['doctor', '--verbose'], "Unknown option '--verbose'\n"],
    [['doctor', '--user:secret@localhost'], 'Unknown option\n'],
    [['doctor', 'a:secret@b:99999'], 'port from 1 to 65535'],
    [['doctor', '--timeout', 'soon'], 'Expected `--timeout`'],
  ])('%j: usage, exit code 2', async (args, complaint) => {
    const result = await run(args)
    expect(result.code).toBe(2)
    expect(result.output).toBe('')
    expect(result.complaint).toContain(complaint)
    expect(result.complaint).toContain('Usage: ')
    expect(result.complaint).not.toContain('secret')
  })

  test.each([[[]], [['doktor']]])('%j: the usage of every command', async args => {
    const { complaint } = await run(args)
    expect(complaint).toMatch(/^Usage: npx express-session-memcached doctor /m)
    expect(complaint).toMatch(/^Usage: npx express-session-memcached plan /m)
  })

  test('--version', async () => {
    const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'))
    expect(await run(['--version'])).toMatchObject({ code: 0, output: `${version}\n`, complaint: '' })
  })
})

describe.skipIf(!hasMemcached)('the command doctor', () => {
  test('its exit code says how it went', async () => {
    const [well, ill] = [await start(), await start('-M')]
    const all = [well.address, ill.address, NOBODY]
    const codes = all.map(async address => (await run(['doctor', address])).code)
    expect(await Promise.all(codes)).toEqual([0, 1, 2])
    const { code, output } = await run(['doctor', `${well.address},${ill.address}`, NOBODY])
    expect(code).toBe(2)
    for (const address of all) expect(output).toContain(`${address}\n`)
  })

  test('the environment names the servers', async () => {
    const { address } = await start()
    const { code, output } = await run(['doctor'], { MEMCACHED_SERVERS: address })
    expect(code).toBe(0)
    expect(output).toContain(address)
  })

  test.skipIf(spawnSync('script', ['--version']).status !== 0)(
    'progress is shown on a terminal while many keys are looked at',
    async () => {
      const { address } = (await start('-m', '512')).memcached
      await fill(address, 500_000, number => [`x:${sidOf(number)}`, 'v'])
      const command = `${process.execPath} ${main} doctor --timeout 60000 ${address}`
      const { stdout, status } = spawnSync('script', ['-qec', command, '/dev/null'], { encoding: 'utf8' })
      // The one on this machine may be old.
      expect(status, stdout).toBeLessThan(2)
      expect(stdout).toMatch(new RegExp(`\r\x1b\\[K${address}: [\\d,]+ keys\r\x1b\\[K`))
      // Elsewhere it would only be in the way.
      const { output, complaint } = await run(['doctor', address])
      expect(output + complaint).not.toContain('\x1b')
    },
  )
})
