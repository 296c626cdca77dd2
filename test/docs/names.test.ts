import { beforeAll, describe, expect, test } from 'vitest'
import { MemcachedStore, type MemcachedStoreOptions } from '../../lib/index.ts'
import { Page } from './page.ts'

// What can be called by a name, the README names.
describe('README.md names', () => {
  let readme: string
  beforeAll(async () => {
    readme = (await Page.read('README.md')).text
  })

  function section(title: string): string {
    return new RegExp(`^## ${title}\\n(.*?)^## `, 'ms').exec(readme)?.[1] ?? ''
  }

  test('every option, and no other', () => {
    const known = /Known are (.*)$/.exec(refusal())?.[1]?.split(', ') ?? []
    const items = section('Options').match(/^- (?:\*\*`\w+`\*\*,? ?)+/gm) ?? []
    const names = items.flatMap(item => [...item.matchAll(/`(\w+)`/g)].map(([, name]) => name))
    expect(names.sort()).toEqual(known.sort())
  })

  function refusal(): string {
    try {
      new MemcachedStore({ nonsense: 1 } as MemcachedStoreOptions)
      return ''
    } catch (error) {
      return (error as Error).message
    }
  }

  test('every method', () => {
    const forOthers = ['constructor', 'on', 'regenerate', 'createSession']
    const methods = Object.getOwnPropertyNames(MemcachedStore.prototype)
    const own = methods.filter(name => !forOthers.includes(name))
    const named = [
      ...section('Options')
        .replace(/^- .*$/gm, '')
        .matchAll(/`(\w+)`/g),
    ].map(([, name]) => name)
    expect(own.filter(name => !named.includes(name))).toEqual([])
  })

  test('every code of an error', async () => {
    const codes = (text: string): string[] => [...new Set(text.match(/ERR_[A-Z_]+/g))].sort()
    const reference = (await Page.read('docs/reference.md')).text
    const type = /^type MemcachedStoreErrorCode = (.*)$/m.exec(reference)?.[1] ?? ''
    expect(codes(section('Errors'))).toEqual(codes(type))
  })
})
