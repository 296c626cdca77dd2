import type { ServerStats } from 'express-session-memcached'
import type { Health } from '../../memcached/health.ts'
import { type Html, html } from '../html.ts'

interface Model {
  readonly servers: readonly Health[]
  /** Those that hold this session. */
  readonly holders: readonly string[]
  /** How the app came to them, and what becomes of the sessions when it ends. */
  readonly description: string | undefined
}

/** Every memcached: is it up, how full is it, does it find what it is asked for. */
export function serversPanel({ servers, holders, description }: Model): Html | false {
  if (servers.length === 0) return false
  return html`
    <section class="panel" id="servers-panel" aria-labelledby="servers-title">
      <header>
        <h2 id="servers-title">${servers.length === 1 ? 'The server' : `The ${servers.length} servers`}</h2>
        <p>memcached’s own figures, of all that use it. ${troubleHint(servers)}</p>
      </header>
      ${serverList(servers, holders)}
      <p class="said" id="servers-said" role="status"></p>
      ${description !== undefined && html`<p class="hint origin">Sessions are kept in ${description}</p>`}
    </section>`
}

function troubleHint(servers: readonly Health[]): Html | false {
  return (
    servers.some(({ own }) => own) &&
    html`This app started ${servers.length === 1 ? 'it' : 'them'}, so you may cause trouble: stop a server, and see what happens to the sessions on it.`
  )
}

/** Also sent alone, every few seconds. `holders`: the servers that hold this session. */
export function serverList(servers: readonly Health[], holders: readonly string[] = []): Html {
  return html`<ul class="servers" id="servers" data-live>${servers.map(server =>
    serverCard(server, servers.length > 1 && holders.includes(server.stats.address)),
  )}</ul>`
}

function serverCard({ stats, own }: Health, isHome: boolean): Html {
  const up = stats.reachable
  return html`
    <li class="server" data-up="${up ? 'yes' : 'no'}">
      <div class="server-head">
        <strong class="mono">${stats.address}</strong>
        <span class="state"><span aria-hidden="true">${up ? '●' : '✕'}</span> ${up ? 'up' : 'down'}</span>
        ${isHome && html`<span class="home">holds this session</span>`}
        ${own && troubleButtons(stats.address, up, `trouble-${stats.address}`)}
      </div>
      ${stats.reachable ? charts(stats) : html`<p class="hint">It does not answer. Requests for sessions on it get an error at once instead of hanging.</p>`}
    </li>`
}

/** Stopping and bringing back; works while the session itself cannot be read. */
export function troubleButtons(address: string, up: boolean, id?: string): Html {
  return html`
    <form method="post" action="/trouble" data-trouble>
      <input type="hidden" name="server" value="${address}">
      <button ${id !== undefined && html`id="${id}"`} name="do" value="${up ? 'stop' : 'bring-back'}" class="${up ? '' : 'primary'}">${up ? 'Stop it' : 'Bring it back'}<span class="visually-hidden">: ${address}</span></button>
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
      <div><dt>Items</dt><dd>${items.toLocaleString('en')}</dd></div>
      <div><dt>Evictions</dt><dd>${evictions.toLocaleString('en')}</dd></div>
      <div><dt>Up for</dt><dd>${duration(stats.uptime)}</dd></div>
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
