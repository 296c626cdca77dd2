import { describe, expect, test } from 'vitest'
import type { Examination } from '../../lib/cli/examination.ts'
import { inJson } from '../../lib/cli/json.ts'
import { describeServer, keepsMemory, softwareOf } from '../../lib/cli/report.ts'
import { examinationOf } from './examination.ts'

const report = (examination: Examination, share = Number.NaN): string[] =>
  describeServer(examination, 'sess:', share).trimEnd().split('\n')

describe('a server is described', () => {
  test('by what it tells; of what it does not, it is said so', () => {
    expect(report(examinationOf({ general: { version: '1.6.45' } }))).toEqual([
      '  a proxy before memcached 1.6.45, answers in 1.0 ms',
      '  protocol     text',
      '  memory       not told',
      '  connections  not told',
      '  reads        not told',
      '  sessions     none under sess:',
    ])
  })

  test('by all that memcached tells', () => {
    const general = {
      pid: '1',
      version: '1.6.45',
      uptime: '7200',
      curr_items: '1',
      bytes: '512',
      limit_maxbytes: '1024',
      evictions: '0',
      curr_connections: '3',
      get_hits: '3',
      get_misses: '1',
    }
    const settings = { maxconns: '1024', item_size_max: '1048576', memory_file: '/mnt/memory' }
    const sessions = { keys: 1, largest: 300, misplaced: 0 }
    expect(report(examinationOf({ general, settings, sessions }), 0.25)).toEqual([
      '  memcached 1.6.45, up 2 h, answers in 1.0 ms',
      '  protocol     text',
      '  memory       50 % of 1 KB: 1 item, 0 evicted',
      '  connections  3 of 1,024',
      '  reads        4, 75 % found something',
      '  sessions     1 key under sess:, 25 % of all, the largest 300 bytes of 1 MB',
      '  restarts     keep its sessions, where it is stopped with SIGUSR1 (-e)',
    ])
    const unread = { ...general, get_hits: '0', get_misses: '0' }
    expect(report(examinationOf({ general: unread }))).toContain('  reads        none yet')
  })

  test('by why its sessions were not counted', () => {
    const sessions = new Error('It lists no keys', { cause: new Error('-X') })
    expect(report(examinationOf({ sessions }))).toContain('  sessions     not counted. It lists no keys: -X')
  })

  test.each([
    [{}, 'a server that tells nothing of itself'],
    [{ version: '1.6.45' }, 'a proxy before memcached 1.6.45'],
    [{ version: '1.6.45', pid: '1' }, 'memcached 1.6.45'],
    [{ version: '1.6.45', pid: '1', proxy_conn_requests: '0' }, "memcached's proxy 1.6.45"],
    [{ version: 'yrmcds version 1.1.14', pid: '1' }, 'yrmcds 1.1.14'],
  ])('by its software: %o', (general, software) => {
    expect(softwareOf(examinationOf({ general }).statistics)).toBe(software)
  })

  test.each([
    [{}, null],
    [{ memory_file: '(null)' }, false],
    [{ memory_file: '/mnt/memory' }, true],
  ])('by whether it keeps its memory: %o', (settings, keeps) => {
    expect(keepsMemory(examinationOf({ settings }).statistics)).toBe(keeps)
  })
})

test('for programs, what is not known is null, and what failed says why', () => {
  const untold = examinationOf({
    clock: Number.NaN,
    sessions: new Error('no list', { cause: new Error('-X') }),
  })
  const told = examinationOf({
    settings: { item_size_max: '1024', memory_file: '(null)' },
    sessions: { keys: 2, largest: 9, misplaced: 0 },
  })
  const servers = [
    { address: 'untold', examination: untold, findings: [], share: Number.NaN },
    { address: 'told', examination: told, findings: [], share: 1 },
    { address: 'down', examination: new Error('away'), findings: [], share: Number.NaN },
  ]
  const text = inJson({ servers, comparisons: [], code: 2 })
  expect(text.trimEnd()).not.toContain('\n')
  expect(JSON.parse(text)).toMatchObject({
    code: 2,
    servers: [
      {
        clock: null,
        items: null,
        itemSizeLimit: null,
        keepsMemory: null,
        sessions: { error: 'no list: -X' },
      },
      { clock: 0, itemSizeLimit: 1024, keepsMemory: false, sessions: { keys: 2, share: 1 } },
      { address: 'down', reachable: false, error: 'away' },
    ],
    findings: [],
  })
})
