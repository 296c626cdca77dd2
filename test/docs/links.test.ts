import { existsSync } from 'node:fs'
import { expect, test } from 'vitest'
import { anchorsOf, linksOf, pages } from './links.ts'

test.each(await pages())('%s links to what is there', async page => {
  const dead: string[] = []
  for (const { path, anchor } of await linksOf(page)) {
    const isThere = existsSync(new URL(`../../${path}`, import.meta.url))
    if (!isThere) dead.push(path)
    else if (anchor !== '' && !(await anchorsOf(path)).includes(anchor)) dead.push(`${path}#${anchor}`)
  }
  expect(dead).toEqual([])
})

test('docs/README.md names every page', async () => {
  const named = (await linksOf('docs/README.md')).map(({ path }) => path)
  const all = (await pages()).filter(page => page.startsWith('docs/') && page !== 'docs/README.md')
  expect(all.filter(page => !named.includes(page))).toEqual([])
})
