import { beforeAll, describe, expect, test } from 'vitest'
import { Page } from './page.ts'

/** What the README calls them, and bench/RESULTS.md. */
const NAMES: Record<string, string> = {
  'a bare socket with JSON and nothing else': 'limit',
  'express-session-memcached': 'ours',
  'express-session-memcached over text': 'ours, text',
  'connect-redis 9, redis 6 without deadlines': 'connect-redis, no deadline',
  'connect-redis, no deadlines': 'connect-redis, no deadline',
  'connect-redis 9, redis 6 as it comes': 'connect-redis',
  'memjs with JSON': 'memjs',
}

type Row = readonly string[]

describe('the figures of the README are those of bench/RESULTS.md', () => {
  let readme: string
  let results: string
  beforeAll(async () => {
    readme = (await Page.read('README.md')).text
    results = (await Page.read('bench/RESULTS.md')).text
  })

  /** The cells of the first table after this, by name. */
  function table(text: string, after: string): Map<string, Row> {
    expect(text).toContain(after)
    const lines = text.slice(text.indexOf(after)).split('\n')
    const start = lines.findIndex(line => line.startsWith('|')) + 2
    const end = lines.findIndex((line, index) => index > start && !line.startsWith('|'))
    return new Map(
      lines.slice(start, end).map(line => {
        const [name = '', ...cells] = line.split('|').slice(1, -1).map(plain)
        return [NAMES[name] ?? name, cells]
      }),
    )
  }

  test('of the wire', () => {
    const get = table(results, '### `store.get`')
    const save = table(results, '### `store.set` of a session that was read')
    const shown = table(readme, 'CPU of the Node process per operation')
    expect(shown.size).toBe(get.size)
    for (const [name, cells] of shown) {
      expect([name, ...cells]).toEqual([name, median(get.get(name)?.[0]), median(save.get(name)?.[0])])
    }
  })

  test('of HTTP', () => {
    const read = table(results, '### read-only')
    const write = table(results, '### write')
    const shown = table(readme, 'What a session costs an Express app per request')
    expect(shown.size).toBe(6)
    for (const [name, cells] of shown) {
      const of = (rows: Map<string, Row>): string[] => [
        median(rows.get(name)?.[2]),
        `${Number(rows.get(name)?.[4])}`,
      ]
      expect([name, ...cells.map(cell => cell.replace(' µs', ''))]).toEqual([name, ...of(read), ...of(write)])
    }
  })

  test('of overlap', () => {
    const measured = table(results, '## Overlap')
    const shown = table(readme, '## What others lose')
    const [names = '', lost] = [...shown].find(([name]) => name !== 'ours') as [string, Row]
    const cells = (row: Row | undefined): string[] | undefined => row?.map(cell => cell.replaceAll(',', ''))
    expect(cells(shown.get('ours'))).toEqual(measured.get('ours'))
    const others = names
      .split(', ')
      .slice(0, -1)
      .map(name => name.split(' ')[0] as string)
    expect(others).toHaveLength(measured.size - 1)
    for (const name of others) expect([name, cells(lost)]).toEqual([name, measured.get(name)])
  })

  test('and what was missed', () => {
    const [targets, missed] = [/\b(\d\.)?\d+ \| +(reached|MISSED) \|$/gm, /\| +MISSED \|$/gm].map(
      pattern => [...results.matchAll(pattern)].length,
    )
    const said = readme.replace(/\s+/g, ' ')
    expect(said).toContain(`${missed} of our ${targets} targets are missed`)
    const limits = [...results.matchAll(/^\| .* of the limit +\| .* \| +([\d.]+) \|/gm)].map(
      match => match[1],
    )
    for (const limit of limits) expect(said).toContain(` ${limit} for a`)
  })

  test('and who is ahead', () => {
    const write = table(results, '### write')
    const session = (name: string): number => Number(median(write.get(name)?.[2]))
    const ahead = session('ours') - session('connect-redis, no deadline')
    const said = /where every request writes, .* is ahead by (\d+) µs/.exec(readme)?.[1]
    expect(said).toBe(ahead > 0 ? `${ahead}` : undefined)
  })

  test('of what redis takes for its deadlines', async () => {
    const [get, save] = ['### `store.get`', '### `store.set` of a session that was read'].map(name => {
      const rows = table(results, name)
      const cpu = (of: string): number => Number(median(rows.get(of)?.[0]))
      return Math.round(cpu('connect-redis') - cpu('connect-redis, no deadline'))
    })
    const said = `costs it ${get} to ${save} µs`
    expect(readme).toContain(said)
    expect((await Page.read('bench/README.md')).text).toContain(said.replace(' it', ''))
  })

  test('of capacity', async () => {
    const said = (await Page.read('docs/capacity.md')).text.replace(/\s+/g, ' ')
    const [read, write] = ['### read-only', '### write'].map(name => table(results, name).get('ours') as Row)
    const [get, save] = ['### `store.get`', '### `store.set` of a session that was read'].map(
      name => table(results, name).get('ours') as Row,
    )
    expect(said).toContain(
      `${median(read?.[2])} µs of CPU per request that reads, ${median(write?.[2])} µs per one that writes`,
    )
    const [ofGet, ofSave] = [get, save].map(row => Math.round(Number(median(row?.[0]))))
    expect(said).toContain(`takes ${ofGet} for a get and ${ofSave} for a save`)
    expect(said).toContain(`${read?.[0]} requests per second that read, and ${write?.[0]} that wrote`)
    expect(said).toContain(`${get?.[2]} sessions per second`)
  })

  test('of a server that stands still', async () => {
    const { text } = await Page.read('docs/outages.md')
    const [requests, failed, , longest] = table(results, '### Stopped').get('ours') as Row
    expect(text.replace(/\s+/g, ' ')).toContain(
      `${failed} of ${requests} requests with an error, each within ${longest} s`,
    )
  })
})

function plain(cell: string): string {
  return cell.trim().replaceAll('*', '')
}

/** `3.25 (2.83–4.20)`: the first. */
function median(cell: string | undefined): string {
  return cell?.split(' ')[0] ?? 'nothing'
}
