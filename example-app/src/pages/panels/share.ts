import { type Html, html } from '../html.ts'

/** A code that was just made for this session. */
export interface Invitation {
  readonly code: string
  /** Milliseconds since 1970. */
  readonly until: number
  readonly link: string
  readonly qr: Html
}

interface Model {
  readonly invitation?: Invitation | undefined
  /** Where no memcached keeps the codes there are none. */
  readonly canInvite: boolean
}

/** How another browser comes into this session. */
export function sharePanel({ invitation, canInvite }: Model): Html {
  return html`
    <section class="panel" aria-labelledby="share-title">
      <header>
        <h2 id="share-title">Open it in another browser</h2>
        <p>A phone, or a private window. Both are in one session, and neither overwrites the other.</p>
      </header>
      <div id="share" data-part>
        ${invitation !== undefined && ticket(invitation)}
        ${
          canInvite
            ? html`<form method="post" action="/codes" data-swap data-then="share-button">
                <button class="${invitation === undefined && 'primary'}" id="share-button">${invitation === undefined ? 'Show a code' : 'Another code'}</button>
              </form>`
            : html`<p class="hint">Codes are kept in memcached, and this app was started without one.</p>`
        }
      </div>
      <details>
        <summary>Is that not session fixation?</summary>
        <p>Session fixation is planting a session id that the attacker knows, and waiting for the victim to
          sign in with it. Here that leads nowhere: no link carries a session id, only a code that is worth
          nothing after one minute or one use. It is made by somebody who is in the session already, and following the
          link does nothing until you press Join, on a page of this app. And whoever signs in gets a new id,
          so an id known from before opens nothing.</p>
      </details>
    </section>`
}

function ticket({ code, until, link, qr }: Invitation): Html {
  const life = Math.max(until - Date.now(), 0)
  return html`
    <join-code class="ticket" data-life="${life}">
      <div class="qr" role="img" aria-label="QR code of the link">${qr}</div>
      <div>
        <p class="short-code" aria-live="polite"><span class="visually-hidden">The code is</span> <strong>${code}</strong></p>
        <p class="hint">Scan it, open the <a href="${link}">link</a>, or type the code at <code>${new URL(link).host}/join</code>.
          Good for one browser${' '}<span class="left">and ${Math.ceil(life / 1000)} seconds</span>.</p>
        ${isLocal(link) && html`<p class="hint">For a phone, start the app with <code>HOST=0.0.0.0</code> and open it by this computer’s address.</p>`}
      </div>
    </join-code>`
}

function isLocal(link: string): boolean {
  return /^(localhost|127\.|\[::1\])/.test(new URL(link).hostname)
}
