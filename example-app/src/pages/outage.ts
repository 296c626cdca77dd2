import type { Health } from '../memcached/health.ts'
import { type Html, html } from './html.ts'
import { troubleButtons } from './panels/servers.ts'

/** A notice over the page while its session cannot be read; empty while all is well. */
export function outageNotice(down: readonly Health[] | undefined): Html {
  return html`<div id="outage" data-live role="status">${
    down !== undefined &&
    html`<div class="outage">
      <p><strong>memcached does not answer.</strong> What you see here is what was known last; what you typed stays.
        This page goes on by itself as soon as memcached is back.</p>
      ${bringBack(down)}
    </div>`
  }</div>`
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
