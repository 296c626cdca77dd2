import type { DurableHealth } from '../../memcached/health.ts'
import { type Html, html } from '../html.ts'

/** What is behind memcached: does it answer, how much is in it, how often was it needed. */
export function durablePanel(durable: DurableHealth | undefined, isCarrying: boolean): Html | false {
  return (
    durable !== undefined &&
    html`
    <section class="panel" id="durable-panel" aria-labelledby="durable-title">
      <header>
        <h2 id="durable-title">The durable store behind</h2>
        <p>memcached is asked first. What it loses, in a restart or an eviction, is still here: nobody is logged out.</p>
      </header>
      ${durableFacts(durable, isCarrying)}
      <p class="hint origin">PostgreSQL (<code>PGlite</code>, in memory of the demo, and gone with it) through <code>connect-pg-simple</code>. Any express-session store will do:
        <code>new MemcachedStore({ backing })</code>. A refill is a session that memcached had lost, or had been away with, and has again from here. Writes, refills and
        failed calls are those of the process that sent this page.</p>
    </section>`
  )
}

/** Also sent alone, every few seconds. */
export function durableFacts(durable: DurableHealth | undefined, isCarrying: boolean): Html | false {
  if (durable === undefined) return false
  const { sessions, refills, writes, failures } = durable
  const up = sessions !== undefined
  return html`
    <div class="server durable" id="durable" data-live data-up="${up ? 'yes' : 'no'}">
      <div class="server-head">
        <strong>PostgreSQL</strong>
        <span class="state"><span aria-hidden="true">${up ? '●' : '✕'}</span> ${up ? 'up' : 'down'}</span>
        ${isCarrying && html`<span class="home">serves this session</span>`}
      </div>
      ${!up && html`<p class="hint">It does not answer. Sessions in memcached can be read; nothing can be saved until it is back.</p>`}
      <dl class="figures">
        ${figure('Sessions held', sessions)}
        ${figure('Writes', writes)}
        ${figure('Refills', refills)}
        ${figure('Failed calls', failures)}
      </dl>
    </div>`
}

function figure(name: string, value: number | undefined): Html {
  return html`<div><dt>${name}</dt><dd>${value === undefined ? 'not known' : value.toLocaleString('en')}</dd></div>`
}
