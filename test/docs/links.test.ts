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
  const listing = /^lib\/\n(.*?)^```$/ms.exec(text)?.[1] ?? ''
  const folders: string[] = []
  const listed = listing.split('\n').flatMap(line => {
    const [, indent = '', names = ''] = /^( +)((?:[\w-]+(?:\/|\.ts) ?)+)/.exec(line) ?? []
    folders.length = Math.max(indent.length / 2 - 1, 0)
    if (names.endsWith('/ ')) folders.push(names.trim())
    return names.endsWith('/ ') ? [folders.join('')] : names.split(' ').map(name => folders.join('') + name)
  })
  const mentioned = [
    ...text.replace(listing, '').matchAll(/[\w-]+\/(?:[\w-]+\/)*[\w-]*(?:\.ts)?|[\w-]+\.ts/g),
  ]
  const paths = [...listed, ...mentioned.map(([path]) => path)].filter(path => path !== 'lib/')
  expect(listed.length).toBeGreaterThan(20)
  const missing = paths.filter(
    path => !['lib', '.'].some(base => existsSync(new URL(`../../${base}/${path}`, import.meta.url))),
  )
  expect(missing).toEqual([])
})
