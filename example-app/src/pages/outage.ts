import type { Health, Outage, WholeHealth } from '../memcached/health.ts'
import { type Html, html } from './html.ts'
import { troubleButtons, troubleForAll } from './panels/servers.ts'

/** A notice over the page while its session cannot be read, or comes from the durable store; empty while all is well. */
export function outageNotice(outage: Outage | undefined, carried?: WholeHealth): Html {
  return html`<div id="outage" data-live role="status">${outage !== undefined && notice(outage)}${carried !== undefined && carriedNotice(carried)}</div>`
}

function notice({ servers, away }: Outage): Html {
  const others = servers.filter(({ stats }) => stats.reachable).length
  return html`
    <div class="outage">
      <p><strong>${away.length === 1 && servers.length > 1 ? html`memcached on ${addresses(away)}, where this session lives, does not answer.` : html`${whatIsAway({ away })}.`}</strong>
        ${others > 0 && html`${others === 1 ? 'The other server does' : `The other ${others} servers do`}: sessions there go on.`}
        What you see here is what was known last; what you typed stays. This page goes on by itself as soon as it is back.</p>
      ${bringBack({ away })}
    </div>`
}

/** memcached is away, and nothing else is: the trick of the house. */
function carriedNotice({ servers }: WholeHealth): Html {
  const away = servers.filter(({ stats }) => !stats.reachable)
  const isAll = away.length === servers.length
  return html`
    <div class="carried">
      <p><strong>${isAll ? 'memcached is gone' : `${whatIsAway({ away })}`}, and you are still signed in.</strong>
        <span class="more">Your session now comes from the durable store, and what you change is saved there.</span>
        Put something in, then bring ${away.length === 1 ? 'it' : 'them'} back: nothing is lost.</p>
      ${isAll && servers.length > 1 ? troubleForAll(servers, { isBacked: true, isPrimary: true }) : bringBackButtons(away)}
    </div>`
}

/** "memcached on localhost:11211 does not answer", as the title of a page or the start of a sentence. */
export function whatIsAway({ away, durable }: Partial<Outage> & Pick<Outage, 'away'>): string {
  if (away.length > 0) return `memcached on ${addresses(away)} does not answer`
  return durable === undefined ? 'memcached does not answer' : 'The durable store does not answer'
}

function addresses(servers: readonly Health[]): string {
  return servers.map(({ stats }) => stats.address).join(', ')
}

/** For servers that this app can bring back. */
export function bringBack({ away, durable }: Partial<Outage> & Pick<Outage, 'away'>): Html[] {
  return stopped(away).map(
    ({ stats }) => html`
        <div class="bring-back">${troubleButtons(stats.address, false, { isBacked: durable !== undefined, isPrimary: true })}
          <p class="hint">The server on <code>${stats.address}</code> is stopped. ${
            durable === undefined
              ? 'It kept everything in memory, so it comes back empty, and you sign in anew.'
              : 'It comes back empty, and the durable store fills it again.'
          }</p></div>`,
  )
}

function bringBackButtons(away: readonly Health[]): Html {
  return html`<div class="buttons">${stopped(away).map(({ stats }) => troubleButtons(stats.address, false, { isBacked: true, isPrimary: true, isNamed: away.length > 1 }))}</div>`
}

function stopped(servers: readonly Health[]): Health[] {
  return servers.filter(({ own, stats }) => own && !stats.reachable)
}
