import { readFile } from 'node:fs/promises'
import ts from 'typescript'
import { describe, expect, test } from 'vitest'
import { MUTANTS } from './mutants.ts'

describe('the mutants', () => {
  test.each(MUTANTS.map(({ name, mutations }) => [name, mutations] as const))(
    'one that %s changes places that are there, and is still TypeScript',
    async (_, mutations) => {
      for (const [file, from, to] of mutations) {
        const text = await readFile(new URL(`../../lib/${file}`, import.meta.url), 'utf8')
        expect(text.split(from)).toHaveLength(2)
        const { diagnostics } = ts.transpileModule(
          text.replace(from, () => to),
          { reportDiagnostics: true },
        )
        expect(diagnostics?.map(({ messageText }) => messageText)).toEqual([])
      }
    },
  )

  test('have names of their own', () => {
    expect(new Set(MUTANTS.map(({ name }) => name)).size).toBe(MUTANTS.length)
  })
})
