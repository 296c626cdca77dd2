import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { reference } from './reference.ts'

test('docs/reference.md tells what the comments tell: else `npm run reference`', async () => {
  expect(await readFile(new URL('../../docs/reference.md', import.meta.url), 'utf8')).toBe(await reference())
})
