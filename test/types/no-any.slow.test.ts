import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { expect, test } from 'vitest'

const dist = fileURLToPath(new URL('../../dist/', import.meta.url))
const files = readdirSync(dist).filter(file => /\.d\.c?ts$/.test(file))

test.each(files)('dist/%s says nowhere `any`', file => {
  const text = readFileSync(dist + file, 'utf8')
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true)
  const found: string[] = []
  const visit = (node: ts.Node): void => {
    if (node.kind === ts.SyntaxKind.AnyKeyword) found.push(node.parent.getText())
    ts.forEachChild(node, visit)
  }
  visit(source)
  expect(found).toEqual([])
})
