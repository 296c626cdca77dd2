import type { ServerStats } from 'express-session-memcached'
import type { DurableHealth, Health, WholeHealth } from '../../memcached/health.ts'
import { type Html, html } from '../html.ts'

interface Model {
  readonly servers: readonly Health[]
  readonly durable: DurableHealth | undefined
  /** Those that hold this session. */
  readonly holders: readonly string[]
  /** How the app came to them, and what becomes of the sessions when it ends. */
  readonly description: string | undefined
}

/** Every memcached: is it up, how full is it, does it find what it is asked for. */
export function serversPanel({ servers, durable, holders, description }: Model): Html | false {
  if (servers.length === 0) return false
  const isBacked = durable !== undefined
  return html`
    <section class="panel" id="servers-panel" aria-labelledby="servers-title">
      <header class="beside">
        <div>
          <h2 id="servers-title">${servers.length === 1 ? 'The server' : `The ${servers.length} servers`}</h2>
          <p>memcached’s own figures, of all that use it. ${troubleHint(servers, isBacked)}</p>
        </div>
        ${isBacked && allServers(servers)}
      </header>
      ${serverList({ servers, durable }, holders)}
      <p class="said" id="servers-said" role="status"></p>
      ${description !== undefined && html`<p class="hint origin">Sessions are kept in ${description}</p>`}
    </section>`
}

function troubleHint(servers: readonly Health[], isBacked: boolean): Html | false {
  return (
    servers.some(({ own }) => own) &&
    html`This app started ${servers.length === 1 ? 'it' : 'them'}, so you may cause trouble: ${
      isBacked
        ? 'stop one, or all of them, and go on working.'
        : 'stop a server, and see what happens to the sessions on it.'
    }`
  )
}

/** What changes by itself, to be sent alone every few seconds. `holders`: the servers that hold this session. */
export function serverParts(health: WholeHealth, holders: readonly string[] = []): Html {
  return html`${health.durable !== undefined && allServers(health.servers)}${serverList(health, holders)}`
}

function serverList({ servers, durable }: WholeHealth, holders: readonly string[]): Html {
  return html`<ul class="servers" id="servers" data-live>${servers.map(server =>
    serverCard(server, servers.length > 1 && holders.includes(server.stats.address), durable !== undefined),
  )}</ul>`
}

/** All at once, where that is no end but a beginning. */
function allServers(servers: readonly Health[]): Html | false {
  const isOwn = servers.length > 1 && servers.every(({ own }) => own)
  return (
    isOwn &&
    html`<div id="all-servers" data-live>${troubleForAll(servers, { isBacked: true, id: 'trouble-all' })}</div>`
  )
}

function serverCard({ stats, own }: Health, isHome: boolean, isBacked: boolean): Html {
  const up = stats.reachable
  const id = `trouble-${stats.address}`
  const trouble = own && troubleButtons(stats.address, up, { isBacked, isPrimary: !isBacked, id })
  return html`
    <li class="server" data-up="${up ? 'yes' : 'no'}">
      <div class="server-head">
        <strong class="mono">${stats.address}</strong>
        <span class="state"><span aria-hidden="true">${up ? '●' : '✕'}</span> ${up ? 'up' : 'down'}</span>
        ${isHome && html`<span class="home">holds this session</span>`}
        ${up && trouble}
      </div>
      ${stats.reachable ? charts(stats) : html`<p class="hint">It does not answer. ${isBacked ? 'Until it is back, the durable store serves the sessions that it held.' : 'Requests for sessions on it get an error at once instead of hanging.'}</p> ${trouble}`}
    </li>`
}

interface Buttons {
  /** A durable store is behind, and fills again what comes back empty. */
  readonly isBacked: boolean
  readonly id?: string
  /** Bringing back is what to do next on this page. */
  readonly isPrimary?: boolean
  /** Which server it is, is to be seen, too. */
  readonly isNamed?: boolean
}

/** Stopping and bringing back; works while the session itself cannot be read. */
export function troubleButtons(address: string, up: boolean, { isNamed, ...rest }: Buttons): Html {
  const name = isNamed
    ? html` <span class="mono">${address}</span>`
    : html`<span class="visually-hidden">: ${address}</span>`
  const text = up ? 'Stop it' : isNamed ? 'Bring back' : 'Bring it back'
  return troubleForm({ ...rest, server: address, name: address, up, label: html`${text}${name}` })
}

/** The same for all of them: stops those that run; where none does, brings all back. */
export function troubleForAll(servers: readonly Health[], how: Buttons): Html {
  const up = servers.some(({ stats }) => stats.reachable)
  const name = servers.length === 2 ? 'both servers' : `all ${servers.length} servers`
  const label = html`${up ? `Stop ${name}` : `Bring ${name} back`}`
  return troubleForm({ ...how, server: 'all', name, up, label })
}

interface TroubleForm extends Buttons {
  readonly server: string
  readonly name: string
  readonly up: boolean
  readonly label: Html
}

function troubleForm({ server, name, up, isBacked, isPrimary, id, label }: TroubleForm): Html {
  return html`
    <form method="post" action="/trouble" data-trouble="${name}" ${isBacked && html`data-backed`}>
      <input type="hidden" name="server" value="${server}">
      <button ${id !== undefined && html`id="${id}"`} name="do" value="${up ? 'stop' : 'bring-back'}" class="${!up && isPrimary && 'primary'}">${label}</button>
    </form>`
}

function charts(stats: ServerStats): Html {
  const { hits, misses, bytes, limit, connections, connectionLimit, evictions, items } = stats
  return html`
    <div class="charts">
      ${gauge('Memory', bytes, limit, `${size(bytes)} of ${size(limit)}`)}
      ${gauge('Connections', connections, connectionLimit, `${connections} of ${connectionLimit.toLocaleString('en')}`)}
    </div>
    <dl class="figures">
      <div><dt>Hit rate</dt><dd>${hitRate(hits, hits + misses)}</dd></div>
      <div><dt>Up for</dt><dd>${duration(stats.uptime)}</dd></div>
      <div><dt>Items</dt><dd>${items.toLocaleString('en')}</dd></div>
      <div><dt>Evictions</dt><dd>${evictions.toLocaleString('en')}</dd></div>
      <div><dt>Version</dt><dd>${stats.version}</dd></div>
    </dl>`
}

/** A bar of something that must not get full, and what it says in words; a little is never drawn as nothing. */
function gauge(name: string, part: number, whole: number, words: string): Html {
  const share = part <= 0 || whole <= 0 ? 0 : Math.min(part / whole, 1)
  const width = share === 0 ? 0 : Math.max(share * 100, 1.5)
  return html`
    <div class="gauge" data-level="${share >= FULL ? 'full' : share >= NEARLY_FULL ? 'nearly-full' : 'fine'}">
      <span class="gauge-name">${name}</span> <span class="gauge-words">${words}</span>
      <svg viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
        <rect class="track" width="100" height="6" rx="1"/><rect class="part" width="${width.toFixed(1)}" height="6" rx="1"/>
      </svg>
    </div>`
}

const NEARLY_FULL = 0.75
const FULL = 0.9

/** Good when it is full, so it is no bar beside those that are bad then. */
function hitRate(hits: number, reads: number): string {
  if (reads === 0) return 'no reads yet'
  if (hits === 0) return 'no hits yet'
  return `${percent(hits, reads)} of ${reads.toLocaleString('en')} reads`
}

function percent(part: number, whole: number): string {
  return `${((part / whole) * 100).toFixed(1).replace(/\.0$/, '')} %`
}

function size(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`
  if (bytes < 1024 ** 2) return `${(bytes / 1024).toFixed(1)} kB`
  return `${(bytes / 1024 ** 2).toFixed(bytes < 10 * 1024 ** 2 ? 1 : 0)} MB`
}

function duration(seconds: number): string {
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`
}
