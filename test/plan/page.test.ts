import { expect, test } from 'vitest'
import { planCommand } from '../../lib/cli/plan-command.ts'
import { Page } from '../docs/page.ts'

test('docs/capacity.md shows what the command says', async () => {
  const { text } = await Page.read('docs/capacity.md')
  const [, args = '', said] =
    /^npx express-session-memcached plan (.*)\n```\n\n```text\n(.*?)```$/ms.exec(text) ?? []
  expect(planCommand(args.split(' '))).toBe(said)
})

test('and its table of memory', async () => {
  const { text } = await Page.read('docs/capacity.md')
  const rows = [...text.matchAll(/^\| +([\d,]+) \| +([\d,]+) \| +([\d,]+) \| `([\d.]+)` +\| +([\d,]+) \|$/gm)]
  expect(rows.length).toBe(6)
  for (const row of rows) {
    const [bytes, item, chunk, factor, sessions] = row.slice(1).map(cell => Number(cell.replaceAll(',', '')))
    const planned = JSON.parse(
      planCommand(['--sessions', '1M', '--bytes', String(bytes), '--servers', '1', '--json']),
    )
    expect(planned).toMatchObject({ item, chunk, factor })
    const inOneGb = (1_000_000 * 2 ** 30) / planned.total
    expect(Math.abs((sessions as number) / inOneGb - 1)).toBeLessThan(0.01)
  }
})

test('and its examples', async () => {
  const { text } = await Page.read('docs/capacity.md')
  const rows = [
    ...text.matchAll(
      /^\| .*\(`(--sessions .*?)`\) +\| +(\d+) \| +([\d.]+ .B) \| +([\d.]+ .B) \| +([\d.]+ %) \|$/gm,
    ),
  ]
  expect(rows.length).toBe(3)
  for (const [, args = '', servers, each, all, lost] of rows) {
    const said = planCommand([...args.split(' '), '--bytes', '400'])
    for (const part of [`${servers} servers`, `with ${each}:`, `take ${all} in all`, `affects ${lost}`]) {
      expect(said).toContain(part)
    }
  }
})
