import { existsSync } from 'node:fs'
import { expect, test } from 'vitest'
import { anchorsOf, linksOf, pages } from './links.ts'
import { Page } from './page.ts'

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

test('docs/architecture.md names folders and files that there are', async () => {
  const { text } = await Page.read('docs/architecture.md')
  const house = /^lib\/\n.*?(?=^```$)/ms.exec(text)?.[0] ?? ''
  const mentioned = text.replace(house, '').match(/(?:[\w-]+\/)+(?:[\w.-]+\.ts)?|[\w.-]+\.ts\b/g) ?? []
  const paths = [...listed(house), ...mentioned]
  expect(paths.length).toBeGreaterThan(50)
  const isThere = (path: string): boolean =>
    ['lib/', ''].some(base => existsSync(new URL(`../../${base}${path}`, import.meta.url)))
  expect(paths.filter(path => !isThere(path))).toEqual([])
})

/** The paths in a listing: each line is indented below its folder, and has a name or several, then words. */
function listed(listing: string): string[] {
  const folders: string[] = []
  return listing.split('\n').flatMap(line => {
    const [, indent = '', names = ''] = /^( *)((?:[\w-]+(?:\/|\.ts)(?: |$))+)/.exec(line) ?? []
    folders.length = Math.min(folders.length, indent.length / 2)
    const paths = names.split(' ').map(name => folders.join('') + name)
    if (names.trimEnd().endsWith('/')) folders.push(names.trim())
    return paths
  })
}
