import type { Health, Outage } from '../memcached/health.ts'
import { type Html, html } from './html.ts'
import { troubleButtons } from './panels/servers.ts'

/** A notice over the page while its session cannot be read; empty while all is well. */
export function outageNotice(outage: Outage | undefined): Html {
  return html`<div id="outage" data-live role="status">${outage !== undefined && notice(outage)}</div>`
}

function notice({ servers, away }: Outage): Html {
  const others = servers.filter(({ stats }) => stats.reachable).length
  return html`
    <div class="outage">
      <p><strong>${away.length === 1 && servers.length > 1 ? html`memcached on ${addresses(away)}, where this session lives, does not answer.` : html`${whatIsAway(away)}.`}</strong>
        ${others > 0 && html`${others === 1 ? 'The other server does' : `The other ${others} servers do`}: sessions there go on.`}
        What you see here is what was known last; what you typed stays. This page goes on by itself as soon as it is back.</p>
      ${bringBack(away)}
    </div>`
}

/** "memcached on localhost:11211 does not answer", as the title of a page or the start of a sentence. */
export function whatIsAway(away: readonly Health[]): string {
  return away.length === 0 ? 'memcached does not answer' : `memcached on ${addresses(away)} does not answer`
}

function addresses(servers: readonly Health[]): string {
  return servers.map(({ stats }) => stats.address).join(', ')
}

/** For servers that this app can bring back. */
export function bringBack(servers: readonly Health[]): Html[] {
  return servers
    .filter(({ own, stats }) => own && !stats.reachable)
    .map(
      ({ stats }) => html`
        <div class="bring-back">${troubleButtons(stats.address, false)}
          <p class="hint">The server on <code>${stats.address}</code> is stopped. It kept everything in memory, so it comes
            back empty, and you sign in anew.</p></div>`,
    )
}
