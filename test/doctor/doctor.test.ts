import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { EmbeddedMemcached } from '../../lib/embedded/index.ts'
import { Daemon } from '../faults/daemon.ts'
import { SaslAuthd } from '../faults/saslauthd.ts'
import { fill, sidOf, stored } from '../listing/fill.ts'
import { Front, sayOk } from '../listing/front.ts'
import { hasMemcached } from '../support/memcached.ts'
import { freePort, NOBODY } from '../support/port.ts'
import { checkUp, UpToDate } from './run.ts'

async function start(...flags: string[]): Promise<UpToDate> {
  const server = await UpToDate.start(...flags)
  onTestFinished(() => server[Symbol.asyncDispose]())
  return server
}

describe.skipIf(!hasMemcached)('doctor', () => {
  test('a server that is well: exit code 0', async () => {
    const { address } = await start()
    await fill(address, 1200, number => [`sess:${sidOf(number)}`, stored(number)])
    const { code, output, complaint, findings } = await checkUp(address)
    expect(findings).toEqual([])
    expect(code).toBe(0)
    expect(complaint).toBe('')
    expect(output).toContain(address)
    expect(output).toMatch(/memcached \d+\.\d+\.\d+, up \d+ s, answers in [\d.]+ ms/)
    expect(output).toMatch(/1,200 items, 0 evicted/)
    expect(output).toMatch(/connections +\d+ of 1,024/)
    expect(output).toMatch(/1,200 keys under sess:, the largest \d+ bytes of 1 MB/)
    expect(output).toMatch(/No findings\.\n$/)
  })

  test('one of something is said as one', async () => {
    const { address } = await start()
    await fill(address, 1, number => [`sess:${sidOf(number)}`, stored(number)])
    const { output } = await checkUp(address)
    expect(output).toContain(': 1 item, 0 evicted')
    expect(output).toContain(' 1 key under sess:')
  })

  test('evictions of living items, and a full memory', async () => {
    const { address } = await start('-m', '2')
    await fill(address, 6000, number => [`sess:${sidOf(number)}`, stored(number)])
    const { code, findings } = await checkUp(address)
    expect(code).toBe(1)
    expect(findings).toHaveLength(2)
    expect(findings[0]).toMatch(/^[\d,]+ living items were evicted/)
    expect(findings[1]).toMatch(/^memory is nearly full: 9\d % of 2 MB/)
  })

  test('memory nearly full, and nothing evicted yet', async () => {
    const { address } = await start('-m', '2')
    await fill(address, 3900, number => [`sess:${sidOf(number)}`, 'v'.repeat(361)])
    const { code, output, findings } = await checkUp(address)
    expect(output).toContain('0 evicted')
    expect(code).toBe(1)
    expect(findings).toEqual([expect.stringMatching(/^memory is nearly full: 8\d % of 2 MB/)])
  })

  test('the connection limit is near', async () => {
    const { address, memcached } = await start('-c', '60')
    const sockets = await takeConnections(memcached.port, 33)
    const { code, findings } = await checkUp(address)
    for (const socket of sockets) socket.destroy()
    expect(code).toBe(1)
    expect(findings).toEqual([expect.stringMatching(/^the connection limit is near: 3\d are open, -c is 60/)])
  })

  test('connections were rejected', async () => {
    const { address, memcached } = await start('-c', '60')
    const sockets = await takeConnections(memcached.port, 60)
    for (const socket of sockets) socket.destroy()
    const { code, findings } = await checkUp(address)
    expect(code).toBe(1)
    expect(findings).toEqual([expect.stringMatching(/^\d+ connections? (was|were) rejected: -c is 60/)])
  })

  test('-M', async () => {
    const { code, findings } = await checkUp((await start('-M')).address)
    expect(code).toBe(1)
    expect(findings).toEqual([expect.stringContaining('-M is set')])
  })

  test('UDP', async () => {
    const port = await freePort()
    const { code, findings } = await checkUp((await start('-U', String(port))).address)
    expect(code).toBe(1)
    expect(findings).toEqual([expect.stringContaining(`UDP is on (port ${port})`)])
  })

  test('reachable without authentication from outside loopback', async () => {
    const { code, findings } = await checkUp((await start('-l', '127.0.0.1,0.0.0.0')).address)
    expect(code).toBe(1)
    expect(findings).toEqual([
      expect.stringMatching(/reachable without authentication from outside loopback.*0\.0\.0\.0/),
    ])
  })

  test('several addresses of loopback, or a unix socket, are no such thing', async () => {
    expect(await checkUp((await start('-l', '127.0.0.1,127.0.0.2')).address)).toMatchObject({ code: 0 })
    const folder = await mkdtemp(join(tmpdir(), 'memcached-'))
    onTestFinished(() => rm(folder, { recursive: true, force: true }))
    const path = join(folder, 'to.sock')
    await using _daemon = await Daemon.start(['-s', path, '-a', '0777'], path)
    const { findings } = await checkUp(path)
    expect(findings.filter(finding => !finding.startsWith('version'))).toEqual([])
  })

  test.each([
    ['1.6.44', true],
    ['1.6.42', true],
    ['1.6.18', true],
    ['1.5.22', true],
    ['1.6.45', false],
    ['1.6.50', false],
    ['1.7.00', false],
  ])('version %s is older than the last security fix: %s', async (version, isOlder) => {
    const server = await start()
    server.pretend(version)
    const { code, findings } = await checkUp(server.address)
    expect(code).toBe(isOlder ? 1 : 0)
    expect(findings).toEqual(
      isOlder ? [expect.stringContaining(`version ${version} is older than 1.6.45`)] : [],
    )
  })

  test('with passwords: nothing open to others, no sessions listed, no password told', async () => {
    await using authd = await SaslAuthd.start({ ada: 's:ecret' })
    process.env.SASL_CONF_PATH = authd.folder
    const { address } = await start('-S', '-l', '127.0.0.1,0.0.0.0')
    delete process.env.SASL_CONF_PATH
    const { code, output, complaint, findings } = await checkUp(`ada:s%3Aecret@${address}`)
    expect(findings).toEqual([])
    expect(code).toBe(2)
    expect(output).toMatch(/sessions +not counted\. .*-S/)
    expect(output + complaint).not.toContain('ecret')
    const refused = await checkUp(`ada:wrong@${address}`)
    expect(refused.code).toBe(2)
    expect(refused.output).toMatch(/could not be checked\n.*credentials/)
    expect(refused.output + refused.complaint).not.toContain('wrong')
  })

  test('the largest session, against the limit of an item', async () => {
    const { address } = await start('-I', '512k')
    await fill(address, 3, number => [`sess:${sidOf(number)}`, 'v'.repeat(450_000)])
    await fill(address, 1, () => ['other', 'v'.repeat(500_000)])
    const { code, output, findings } = await checkUp(address)
    expect(output).toMatch(/the largest 439\.5 KB of 512 KB/)
    expect(code).toBe(1)
    expect(findings).toEqual([expect.stringMatching(/^the largest session takes 439\.5 KB of the 512 KB/)])
    expect(await checkUp(address, { prefix: 'elsewhere:' })).toMatchObject({ code: 0 })
  })

  test('a server that lists no keys is checked all the same; exit code 2', async () => {
    const [silent, well] = [await start('-X', '-M'), await start()]
    const { code, output, findings } = await checkUp(`${silent.address},${well.address}`)
    expect(output).toMatch(/sessions +not counted\. .*-X/)
    expect(output).toMatch(/^The sessions on 1 of 2 servers could not be counted\. 1 finding\.\n$/m)
    expect(findings).toEqual([expect.stringContaining('-M')])
    expect(code).toBe(2)
  })

  test('one that says OK before its keys, as since 1.6.43', async () => {
    const { address } = await start()
    await fill(address, 3, number => [`sess:${sidOf(number)}`, stored(number)])
    await using front = await Front.start(address, sayOk)
    const { code, output } = await checkUp(front.address)
    expect(output).toMatch(/3 keys under sess:/)
    expect(code).toBe(0)
  })

  test('-C', async () => {
    const { code, findings } = await checkUp((await start('-C')).address)
    expect(code).toBe(1)
    expect(findings).toEqual([expect.stringContaining('-C is set')])
  })

  test('several servers, one of them down: exit code 2', async () => {
    const [well, ill] = [await start(), await start('-M')]
    const { code, output, findings } = await checkUp(`${well.address},${NOBODY},${ill.address}`)
    expect(code).toBe(2)
    expect(findings).toEqual(['could not be checked', expect.stringContaining('-M')])
    expect(output).toContain('ECONNREFUSED')
    for (const address of [well.address, ill.address, NOBODY]) expect(output).toContain(`${address}\n`)
  })

  test('one that does not answer', async () => {
    const frozen = await start()
    frozen.memcached.freeze()
    const { code, output } = await checkUp(frozen.address, { timeout: 300 })
    expect(code).toBe(2)
    expect(output).toContain('within 300 ms')
  })

  test('an embedded one', async () => {
    await using server = await EmbeddedMemcached.start()
    expect(await checkUp(server.address)).toMatchObject({ code: 0 })
  })
})

async function takeConnections(port: number, count: number): Promise<Socket[]> {
  const sockets: Socket[] = []
  for (let number = 0; number < count; number++) {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write('version\r\n')
    sockets.push(socket)
    await once(socket, 'data')
  }
  return sockets
}
