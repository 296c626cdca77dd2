import { randomUUID } from 'node:crypto'
import { type TracingChannelSubscribers, tracingChannel } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { context, type Span, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base'
import express from 'express'
import session from 'express-session'
import { register } from 'prom-client'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { MemcachedStore } from '../../lib/index.ts'
import { Page } from '../docs/page.ts'
import { Gate } from '../overlap/scripted-app.ts'
import { NOBODY } from '../support/port.ts'
import { until } from '../support/until.ts'

const memcached = inject('memcached')

const channel = tracingChannel('express-session-memcached')
const subscribed: TracingChannelSubscribers<object>[] = []

/** What a recipe imports. What it subscribes must not listen to the tests of other files. */
async function load(name: string): Promise<unknown> {
  if (name !== 'node:diagnostics_channel') return import(name)
  const subscribe = (subscribers: TracingChannelSubscribers<object>): void => {
    subscribed.push(subscribers)
    channel.subscribe(subscribers)
  }
  return { tracingChannel: () => ({ subscribe }) }
}

/** Runs a module of a page with the real packages; `store` is the one that it speaks of. */
async function run(code: string, store: MemcachedStore): Promise<void> {
  const imported = code.replace(/^import (\{.*?\}) from '(.*?)'$/gm, "const $1 = await load('$2')")
  await new Function('load', 'store', `return (async () => {${imported}})()`)(load, store)
}

// Runs what docs/tracing.md shows, with an app whose requests have spans of their own.
describe.skipIf(memcached === null)('docs/tracing.md', () => {
  const exporter = new InMemorySpanExporter()
  const gate = new Gate()
  let store: MemcachedStore
  let prometheus: string
  let server: Server
  let url: string

  beforeAll(async () => {
    const page = await Page.read('docs/tracing.md')
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
    trace.setGlobalTracerProvider(
      new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }),
    )
    store = new MemcachedStore({ servers: memcached as string, prefix: `tracing-${randomUUID()}:` })
    await run(page.snippet('js', '@opentelemetry/api'), store)
    prometheus = page.snippet('js', 'prom-client')
    await run(prometheus, store)
    expect(page.leftOut).toEqual([])

    const app = express()
    app.use((req, res, next) => {
      trace.getTracer('test').startActiveSpan(String(req.query.visitor), (span: Span) => {
        res.once('finish', () => span.end())
        next()
      })
    })
    app.use(session({ store, secret: 'test', resave: false, saveUninitialized: false }))
    app.get('/', async (req, res) => {
      if (req.query.waits !== undefined) await gate.pass()
      if (req.query.set !== undefined) Object.assign(req.session, { [String(req.query.set)]: 1 })
      if (req.query.list !== undefined) {
        await store.withLock(req.sessionID, () => {})
        for await (const _ of store.sessions());
      }
      if (req.query.logout === undefined) res.json({})
      else req.session.destroy(() => res.json({}))
    })
    server = createServer(app).listen(0, '127.0.0.1')
    await once(server, 'listening')
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  afterAll(async () => {
    for (const subscribers of subscribed) channel.unsubscribe(subscribers)
    context.disable()
    trace.disable()
    register.clear()
    server.closeAllConnections()
    server.close()
    await store.close()
  })

  /** The spans below a request's own, in the order of their ends. */
  async function spansOf(visitor: string): Promise<ReadableSpan[]> {
    const requests = (): ReadableSpan[] => exporter.getFinishedSpans().filter(({ name }) => name === visitor)
    await until(() => requests().length > 0)
    const [request] = requests() as [ReadableSpan]
    return exporter
      .getFinishedSpans()
      .filter(({ parentSpanContext }) => parentSpanContext?.spanId === request.spanContext().spanId)
  }

  test('OpenTelemetry shows each visitor spans of its own: read, save, merge, logout', async () => {
    const [ada, bob] = [new Browser(url), new Browser(url)]
    await ada.ask('visitor=ada-1&set=name')
    await bob.ask('visitor=bob-1&set=name')
    const slow = [ada, bob].map((browser, at) =>
      browser.ask(`visitor=${['ada', 'bob'][at]}-2&set=slow&waits`),
    )
    await until(() => gate.waiting === 2)
    await ada.ask('visitor=ada-3&set=quick')
    await bob.ask('visitor=bob-3&logout')
    gate.open()
    await Promise.all(slow)

    const told = async (visitor: string): Promise<unknown[]> =>
      (await spansOf(visitor)).map(({ name, attributes }) => [
        name,
        attributes['session.outcome'],
        attributes['session.conflict'],
      ])
    expect(await told('ada-1')).toEqual([['session set', 'written', undefined]])
    expect(await told('ada-3')).toEqual([
      ['session get', 'found', undefined],
      ['session set', 'written', undefined],
    ])
    expect(await told('ada-2')).toEqual([
      ['session get', 'found', undefined],
      ['session set', 'written', 'merged'],
    ])
    expect(await told('bob-3')).toEqual([
      ['session get', 'found', undefined],
      ['session destroy', 'destroyed', undefined],
    ])
    expect(await told('bob-2')).toEqual([
      ['session get', 'found', undefined],
      ['session set', 'unchanged', 'destroyed'],
    ])
    // None without a request above it.
    const ours = exporter.getFinishedSpans().filter(({ name }) => name.startsWith('session '))
    expect(ours).toHaveLength(10)
    expect(ours.every(({ parentSpanContext }) => parentSpanContext !== undefined)).toBe(true)
  })

  test('and of a lock and a listing, under the request that they belong to', async () => {
    await new Browser(url).ask('visitor=list&list')
    const spans = await spansOf('list')
    expect(spans.map(({ name }) => name)).toEqual(['session withLock', 'session sessions'])
  })

  test('Grafana shows what Prometheus is given, and all of it', async () => {
    await store.stats()
    const exported = (await register.metrics()).matchAll(/^# TYPE (\S+) (\S+)$/gm)
    const known = new Map([...exported].map(([, name = '', type]) => [name, type]))
    const queried = new Set(expressions(await dashboard()).flatMap(metricsIn))
    const series = [...known].flatMap(([name, type]) =>
      type === 'histogram' ? ['bucket', 'sum', 'count'].map(part => `${name}_${part}`) : [name],
    )
    expect([...queried].sort()).toEqual(series.sort())
  })

  test('by labels that there are', async () => {
    await store.get('nobody')
    const metrics = await register.metrics()
    const labels = new Set([...metrics.matchAll(/[{,](\w+)="/g)].map(([, label]) => label))
    const used = expressions(await dashboard()).flatMap(labelsIn)
    expect(used.length).toBeGreaterThan(10)
    expect(used.filter(label => !labels.has(label))).toEqual([])
  })

  test('Prometheus counts them, and tells of the servers', async () => {
    await store.get('nobody')
    await store.get(1 as never).catch(() => {})
    const metrics = await register.metrics()
    expect(metrics).toMatch(/session_operation_seconds_count\{operation="get",outcome="missing"\} \d+/)
    expect(metrics).toMatch(/session_operation_seconds_count\{operation="get",outcome="error"\} 1/)
    for (const address of (memcached as string).split(',')) {
      expect(metrics).toMatch(new RegExp(`memcached_uptime\\{server="${address}"\\} \\d+`))
      expect(metrics).toMatch(new RegExp(`memcached_bytes\\{server="${address}"\\} \\d+`))
    }
  })

  test('a server that has left is not told of any more', async () => {
    const [first, second] = [memcached as string, NOBODY]
    let servers = [first, second]
    const changing = new MemcachedStore({ servers: () => servers, refresh: 0.02 })
    register.clear()
    await run(prometheus, changing)
    expect(await register.metrics()).toContain(second)
    servers = [first]
    await once(changing, 'servers')
    const metrics = await register.metrics()
    await changing.close()
    expect(metrics).toContain(first)
    expect(metrics).not.toContain(second)
  })
})

async function dashboard(): Promise<unknown> {
  const file = new URL('../../docs/grafana/express-session-memcached.json', import.meta.url)
  return JSON.parse(await readFile(file, 'utf8'))
}

/** What a dashboard asks Prometheus for. */
function expressions(part: unknown): string[] {
  if (typeof part !== 'object' || part === null) return []
  return Object.entries(part).flatMap(([name, value]) =>
    name === 'expr' ? [String(value)] : expressions(value),
  )
}

/** The metrics of an expression: words but for labels, functions, operators and their modifiers. */
function metricsIn(expression: string): string[] {
  const bare = expression.replace(/\{.*?\}|\[.*?\]|\b(?:by|without)\s*\(.*?\)/g, ' ')
  const words = bare.matchAll(/\b[a-z_]\w*\b(?!\s*\()/g)
  return [...words].map(([word]) => word).filter(word => !/^(by|without|bool|sum|max)$/.test(word))
}

function labelsIn(expression: string): string[] {
  const matched = [...expression.matchAll(/(\w+)\s*(?:=~|!~|!=|=)\s*"/g)].map(([, label = '']) => label)
  const grouped = [...expression.matchAll(/\bby\s*\((.*?)\)/g)].flatMap(([, list = '']) => list.split(/,\s*/))
  return [...matched, ...grouped]
}

/** Keeps a cookie. */
class Browser {
  readonly #url: string
  #cookie = ''

  constructor(url: string) {
    this.#url = url
  }

  async ask(query: string): Promise<void> {
    const response = await fetch(`${this.#url}/?${query}`, { headers: { cookie: this.#cookie } })
    const [cookie] = response.headers.getSetCookie()
    if (cookie !== undefined) this.#cookie = cookie.slice(0, cookie.indexOf(';'))
  }
}
