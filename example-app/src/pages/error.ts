import type { Outage } from '../memcached/health.ts'
import { type Html, html } from './html.ts'
import { layout } from './layout.ts'
import { bringBack } from './outage.ts'
import type { PageError } from './page-error.ts'

export function errorPage({ status, title, message }: PageError, outage?: Outage): Html {
  return layout({
    title,
    // With scripts the page asks whether it is over; without, it is tried again.
    head: html`${status === 503 && html`<noscript><meta http-equiv="refresh" content="3;url=/"></noscript>`}`,
    body: html`
      <div class="welcome alone error" data-status="${status}">
        <p class="status">${status}</p>
        <h1>${title}</h1>
        <p class="lead">${message}</p>
        ${outage !== undefined && bringBack(outage)}
        ${status === 503 && html`<p class="waiting" role="status"><span class="pulse" aria-hidden="true"></span> Waiting for memcached</p>`}
        <p><a class="button${status !== 503 && ' primary'}" href="/">${status === 503 ? 'Try again' : 'Back to the first page'}</a></p>
      </div>`,
  })
}
