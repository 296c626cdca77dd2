import { describe, expect, test } from 'vitest'
import { comparisons } from '../../lib/cli/comparisons.ts'
import type { Examination, Examined } from '../../lib/cli/examination.ts'
import { findings } from '../../lib/cli/findings.ts'
import { examinationOf } from './examination.ts'

const rulesOf = (examination: Examination): string[] => findings(examination).map(({ rule }) => rule)

describe('of a server', () => {
  test('that tells nothing, nothing is found', () => {
    expect(findings(examinationOf({}))).toEqual([])
    expect(findings(examinationOf({ sessions: new Error('no list') }))).toEqual([])
  })

  test.each([
    ['evictions', '1', '1 living item was evicted since it was started: its session is lost'],
    ['evictions', '1200', '1,200 living items were evicted since it was started: their sessions are lost'],
    [
      'rejected_connections',
      '1',
      '1 connection was rejected: -c is 1,024, and memcached keeps 20 for itself',
    ],
    [
      'rejected_connections',
      '2',
      '2 connections were rejected: -c is 1,024, and memcached keeps 20 for itself',
    ],
  ])('with %s of %s', (name, value, problem) => {
    const general = { curr_connections: '2', max_connections: '1024', reserved_fds: '20', [name]: value }
    expect(findings(examinationOf({ general })).map(one => one.problem)).toEqual([problem])
  })

  test.each([
    ['803', []],
    ['804', ['connections']],
  ])('with %s connections open, of 1,005 that it has for clients', (curr_connections, rules) => {
    const general = { curr_connections, reserved_fds: '19' }
    expect(rulesOf(examinationOf({ general, settings: { maxconns: '1024' } }))).toEqual(rules)
  })

  test.each([
    [1, '1 of its 5 sessions has its home on another server of this list: nobody finds it here'],
    [2, '2 of its 5 sessions have their home on another server of this list: nobody finds them here'],
  ])('with %d misplaced', (misplaced, problem) => {
    const found = findings(examinationOf({ sessions: { keys: 5, largest: 9, misplaced } }))
    expect(found.map(one => one.problem)).toEqual([problem])
  })

  const listening = { inter: '10.0.0.5', domain_socket: 'NULL' }
  test.each<[string, Record<string, string>, string[]]>([
    ['a private network', listening, ['openToAll']],
    ['every network', { ...listening, inter: 'NULL' }, ['openToAll']],
    ['loopback and a network', { ...listening, inter: '127.0.0.1,10.0.0.5' }, ['openToAll']],
    ['a name that begins as loopback', { ...listening, inter: '127.0.0.1.example.com' }, ['openToAll']],
    ['loopback', { ...listening, inter: '127.0.0.1:11211,[::1]:11211,localhost' }, []],
    ['a unix socket', { ...listening, inter: 'NULL', domain_socket: '/run/memcached.sock' }, []],
    ['a network, with SASL', { ...listening, auth_enabled_sasl: 'yes' }, []],
    ['a network, with -Y', { ...listening, auth_enabled_ascii: 'yes' }, []],
    ['a network, with client certificates', { ...listening, ssl_enabled: 'yes', ssl_verify_mode: '2' }, []],
    [
      'a network, with TLS for all',
      { ...listening, ssl_enabled: 'yes', ssl_verify_mode: '1' },
      ['openToAll'],
    ],
    [
      'a network, with TLS that is off',
      { ...listening, ssl_enabled: 'no', ssl_verify_mode: '2' },
      ['openToAll'],
    ],
  ])('that listens on %s', (_, settings, rules) => {
    expect(rulesOf(examinationOf({ settings }))).toEqual(rules)
  })

  test('that listens on every network: it is said so', () => {
    const [found] = findings(examinationOf({ settings: { ...listening, inter: 'NULL' } }))
    expect(found?.problem).toMatch(/it listens on every network$/)
  })

  test.each([
    ['1.6.9', ['version']],
    ['1.6.44', ['version']],
    ['1.6.45', []],
    ['1.10.0', []],
    ['1.6.18-embedded', []],
    ['yrmcds version 1.1.14', []],
  ])('of version %s', (version, rules) => {
    expect(rulesOf(examinationOf({ general: { version } }))).toEqual(rules)
  })
})

describe('between servers', () => {
  const serversOf = (...all: Parameters<typeof examinationOf>[0][]): Examined[] =>
    all.map((told, index) => ({ address: `s${index}`, examination: examinationOf(told) }))
  const problems = (...all: Parameters<typeof examinationOf>[0][]): string[] =>
    comparisons(serversOf(...all)).map(({ problem }) => problem)
  const filled = (bytes: string) => ({ general: { bytes, limit_maxbytes: '1000' } })

  test('what one does not tell is no difference', () => {
    const clock = Number.NaN
    expect(problems({ clock }, { clock })).toEqual([])
    expect(problems({ clock }, { clock: 900, settings: { item_size_max: '1', maxbytes: '1' } })).toEqual([])
    expect(problems({ clock }, { clock: 0 }, { clock: 900 })).toEqual([
      'the clock of s2 is 900 seconds ahead of that of s1',
    ])
    expect(problems({}, filled('900'))).toEqual([])
  })

  test('clocks that are some seconds apart are no difference', () => {
    expect(problems({ clock: 0 }, { clock: 5 })).toEqual([])
    expect(problems({ clock: 0 }, { clock: 6 })).toHaveLength(1)
  })

  test('one that is much fuller, unless all are hardly full', () => {
    expect(problems(filled('500'), filled('300'), filled('300'))).toEqual([
      's0 is much fuller than the others: 50 % of its memory, the others 30 %',
    ])
    expect(problems(filled('440'), filled('300'), filled('300'))).toEqual([])
    expect(problems(filled('90'), filled('10'))).toEqual([])
  })

  test('of many that differ some are named, and the others counted', () => {
    const old = { settings: { maxbytes: '67108864' } }
    const sizes = [...Array.from({ length: 5 }, () => old), { settings: { maxbytes: '134217728' } }]
    expect(problems(...sizes)).toEqual(['-m differs: 64 MB on s0, s1 and 3 others, 128 MB on s5'])
    expect(problems(...sizes.slice(2))).toEqual(['-m differs: 64 MB on s0 and s1 and s2, 128 MB on s3'])
  })

  test('one alone has nothing to differ from, though others are in the list', () => {
    const down = { address: 'down', examination: new Error('away') }
    expect(comparisons([...serversOf(filled('900')), down])).toEqual([])
  })
})
