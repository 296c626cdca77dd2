import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { describe, expect, test } from 'vitest'

const lib = fileURLToPath(new URL('../lib', import.meta.url))
const files = readdirSync(lib, { recursive: true, encoding: 'utf8' }).filter(file => file.endsWith('.ts'))

/** What every file may import. */
const EVERYBODY = ['call-options.ts', 'errors.ts', 'events.ts', 'pause.ts', 'recent-keys.ts', 'tracing.ts']
/** What a room, or a file that stands in none, may import besides: rooms, or single files of one. Top to bottom. */
const MAY: Record<string, readonly string[]> = {
  'index.ts': [
    'cluster',
    'listing',
    'locks',
    'memcached',
    'operations',
    'session',
    'users',
    'options.ts',
    'memcached-store.ts',
  ],
  'memcached-store.ts': [
    'backing',
    'cluster',
    'listing',
    'locks',
    'memcached',
    'operations',
    'session',
    'storage',
    'users',
    'options.ts',
  ],
  cli: ['cluster', 'memcached', 'storage/keys.ts', 'storage/limits.ts'],
  listing: ['operations'],
  operations: [
    'users',
    'session',
    'storage/storage.ts',
    'storage/kept-text.ts',
    'storage/record.ts',
    'storage/session-id.ts',
    'backing/backing-store.ts',
    'options.ts',
  ],
  backing: ['session', 'storage/storage.ts', 'storage/record.ts', 'storage/kept-text.ts', 'storage/keys.ts'],
  users: ['session', 'storage/storage.ts', 'options.ts'],
  locks: ['storage/storage.ts'],
  'options.ts': ['session', 'memcached/address.ts', 'memcached/client-node.ts'],
  session: ['storage/record.ts', 'storage/kept-text.ts'],
  storage: ['cluster', 'memcached'],
  cluster: ['memcached'],
  memcached: ['options.ts'],
  discovery: [],
  embedded: [],
  fastify: [],
}

const imports = new Map(
  files.map(file => {
    const { importedFiles } = ts.preProcessFile(readFileSync(join(lib, file), 'utf8'))
    const own = importedFiles.filter(({ fileName }) => fileName.startsWith('.'))
    return [file, own.map(({ fileName }) => relative(lib, join(lib, dirname(file), fileName)))]
  }),
)

function roomOf(file: string): string {
  return file.split('/')[0] as string
}

describe('a room imports only rooms below it', () => {
  test.each(files)('%s', file => {
    const room = roomOf(file)
    const allowed = [room, ...EVERYBODY, ...(MAY[room] ?? [])]
    const others = imports
      .get(file)
      ?.filter(other => !allowed.includes(other) && !allowed.includes(roomOf(other)))
    expect(others).toEqual([])
  })
})

test('no file imports itself through others, be it for types alone', () => {
  const done = new Set<string>()
  const circles: string[] = []
  const visit = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) circles.push([...path.slice(path.indexOf(file)), file].join(' → '))
    if (done.has(file) || path.includes(file)) return
    for (const other of imports.get(file) ?? []) visit(other, [...path, file])
    done.add(file)
  }
  for (const file of files) visit(file, [])
  expect(circles).toEqual([])
})

test('no function takes more than five positional parameters', () => {
  const long: string[] = []
  for (const file of files) {
    const source = ts.createSourceFile(
      file,
      readFileSync(join(lib, file), 'utf8'),
      ts.ScriptTarget.Latest,
      true,
    )
    const visit = (node: ts.Node): void => {
      if (ts.isFunctionLike(node) && node.parameters.length > 5) {
        long.push(`${file}: ${node.name?.getText() ?? ts.SyntaxKind[node.kind]}`)
      }
      ts.forEachChild(node, visit)
    }
    visit(source)
  }
  expect(long).toEqual([])
})
