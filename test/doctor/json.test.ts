import { describe, expect, onTestFinished, test } from 'vitest'
import * as comparisons from '../../lib/cli/comparisons.ts'
import * as findings from '../../lib/cli/findings.ts'
import { Page } from '../docs/page.ts'
import { fill, sidOf, stored } from '../listing/fill.ts'
import { hasMemcached } from '../support/memcached.ts'
import { NOBODY } from '../support/port.ts'
import { run, UpToDate } from './run.ts'

async function start(...flags: string[]): Promise<UpToDate> {
  const server = await UpToDate.start(...flags)
  onTestFinished(() => server[Symbol.asyncDispose]())
  return server
}

describe.skipIf(!hasMemcached)('doctor --json', () => {
  test('is of the shape that docs/listing-and-doctor.md shows', async () => {
    const page = await Page.read('docs/listing-and-doctor.md')
    const shown = JSON.parse(page.snippet('json', '"servers"'))
    const one = await start('-M')
    await fill(one.address, 3, number => [`sess:${sidOf(number)}`, stored(number)])
    const { code, output, complaint } = await run([
      'doctor',
      '--json',
      '--timeout',
      '60000',
      one.address,
      NOBODY,
    ])
    expect(complaint).toBe('')
    expect(code).toBe(2)
    const said = JSON.parse(output)
    expect(shapeOf(said)).toEqual(shapeOf(shown))
    expect(said).toMatchObject({
      code,
      servers: [
        {
          address: one.address,
          version: '1.6.45',
          keepsMemory: false,
          sessions: { keys: 3, misplaced: expect.any(Number), share: 1 },
          findings: [{ rule: 'disabledEvictions' }, ...misplaced(said)],
        },
        { address: NOBODY, error: expect.stringContaining('ECONNREFUSED') },
      ],
    })
  })

  test('what is not known is null, and where sessions are not counted it says why', async () => {
    const server = await start('-X')
    const { code, output } = await run(['doctor', '--json', '--timeout', '60000', server.address])
    const [one] = JSON.parse(output).servers
    expect(code).toBe(2)
    expect(one.sessions).toEqual({ error: expect.stringContaining('-X') })
    expect(output.endsWith('}\n')).toBe(true)
  })

  test('the page names every rule', async () => {
    const { text } = await Page.read('docs/listing-and-doctor.md')
    const [list = ''] = /^`code` is the exit code.*?\n\n/ms.exec(text) ?? []
    for (const rule of [...findings.RULE_NAMES, ...comparisons.RULE_NAMES]) {
      expect(list).toContain(`\`${rule}\``)
    }
  })

  test('is not for people who watch', async () => {
    const { code, complaint } = await run(['doctor', '--json', '--watch'])
    expect(code).toBe(2)
    expect(complaint).toContain('Expected `--json` or `--watch`')
  })
})

/** The three may have their home on the server that is down. */
function misplaced({ servers: [one] }: { servers: { sessions: { misplaced: number } }[] }): object[] {
  return one?.sessions.misplaced === 0 ? [] : [{ rule: 'misplaced' }]
}

/** Names and types; of a list, its first of each kind. */
function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) {
    return [...new Set(value.map(part => JSON.stringify(shapeOf(part))))].map(part => JSON.parse(part))
  }
  if (typeof value !== 'object' || value === null) return typeof value
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, shapeOf(part)]))
}
