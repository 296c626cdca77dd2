import { execFile } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { linksOf } from '../docs/links.ts'
import { Project, tsc } from './project.ts'

// The packed package, installed as a user would. What it is used with: test/consumers.

const run = promisify(execFile)

/** What every consumer does with the store, and what it prints. */
const visit = `
  const server = await EmbeddedMemcached.start()
  const store = new MemcachedStore({ servers: server.address })
  if (typeof elastiCache('cluster:11211') !== 'function' || typeof dns('name') !== 'function') throw new Error('?')
  if (typeof withRevisions(() => {}) !== 'function') throw new Error('?')
  await store.set('an id', { cookie: { originalMaxAge: 60_000 }, name: 'Ada' })
  const session = await store.get('an id')
  await store.close()
  await server.stop()
`
const print = `console.log(session?.name, 'in', store instanceof Store ? 'a Store' : 'something else')`
const printed = 'Ada in a Store\n'

const esmImports = `
  import expressSession from 'express-session'
  import { MemcachedStore } from 'express-session-memcached'
  import { dns, elastiCache } from 'express-session-memcached/discovery'
  import { EmbeddedMemcached } from 'express-session-memcached/embedded'
  import { withRevisions } from 'express-session-memcached/fastify'
  const { Store } = expressSession
`
const cjsImports = `
  const { Store } = require('express-session')
  const { MemcachedStore } = require('express-session-memcached')
  const { dns, elastiCache } = require('express-session-memcached/discovery')
  const { EmbeddedMemcached } = require('express-session-memcached/embedded')
  const { withRevisions } = require('express-session-memcached/fastify')
`
/** TypeScript asks for more: options and methods have types, and wrong ones are refused. */
const typed = `
  import type { SessionOptions } from 'express-session'
  import type { MemcachedStoreOptions } from 'express-session-memcached'
  declare module 'express-session' {
    interface SessionData { name: string }
  }
  const options: MemcachedStoreOptions = { ttl: session => (session.name === 'Ada' ? 60 : 1) }
  const found: MemcachedStoreOptions = { servers: elastiCache('cluster:11211'), refresh: 10 }
  export const forExpress: SessionOptions = { secret: 'cat', store: new MemcachedStore({ ...options, ...found }) }
  // @ts-expect-error: no such option
  export const misspelt: MemcachedStoreOptions = { server: 'localhost' }
`

const FILES: Record<string, string> = {
  'consumer.mjs': `${esmImports}${visit}${print}`,
  'consumer.cjs': `${cjsImports}\nasync function main() {${visit}${print}}\nmain()`,
  'typed.mts': `${esmImports}${typed}${visit}${print}`,
  'typed.cts': `${esmImports}${typed}\nasync function main(): Promise<void> {${visit}${print}}\nmain()`,
}

let project: Project

beforeAll(async () => {
  project = await Project.create(['express-session', '@types/express-session', '@types/node'])
  for (const [name, text] of Object.entries(FILES)) await project.write(name, text)
}, 300_000)

afterAll(() => project[Symbol.asyncDispose]())

const node = async (file: string): Promise<string> => (await project.node(file)).stdout

describe('the packed package', () => {
  test('holds the build, the pages and nothing else', () => {
    expect(project.contents).toContain('dist/index.js')
    const known =
      /^(dist\/(index|discovery|embedded|fastify|cli)\.|docs\/|bench\/(charts\/|README\.md|RESULTS\.md))/
    const outside = project.contents.filter(path => !known.test(path))
    expect(outside.sort()).toEqual(['CHANGELOG.md', 'LICENSE', 'README.md', 'SECURITY.md', 'package.json'])
  })

  test('holds what its README and pages show and link', async () => {
    const pages = project.contents.filter(path => /^(README|CHANGELOG|docs\/.*)\.md$/.test(path))
    expect(pages).toContain('docs/README.md')
    const links = (await Promise.all(pages.map(linksOf))).flat()
    expect(links.filter(({ path }) => !project.contents.includes(path))).toEqual([])
  })

  test('works from ESM JavaScript', async () => {
    expect(await node('consumer.mjs')).toBe(printed)
  })

  test('works from CommonJS JavaScript', async () => {
    expect(await node('consumer.cjs')).toBe(printed)
  })

  test.each([
    ['node16', 'node16', ['typed.mts', 'typed.cts']],
    ['nodenext', 'nodenext', ['typed.mts', 'typed.cts']],
    ['esnext', 'bundler', ['typed.mts']],
  ])('works from TypeScript with module %s and resolution %s', async (module, resolution, files) => {
    const out = join(project.folder, resolution)
    await mkdir(out)
    const flags = '--strict --skipLibCheck false --esModuleInterop --target es2022 --types node'.split(' ')
    await run(
      process.execPath,
      [tsc, ...flags, '--module', module, '--moduleResolution', resolution, '--outDir', out, ...files],
      { cwd: project.folder },
    ).catch(error => expect.fail(error.stdout))
    for (const file of files) expect(await node(join(out, file.replace('ts', 'js')))).toBe(printed)
  })

  test('brings the command', async () => {
    const { stdout } = await run('npx', ['--no', '--', 'express-session-memcached', '--help'], {
      cwd: project.folder,
    })
    expect(stdout).toMatch(/^Usage: npx express-session-memcached doctor/)
  })
}, 120_000)
