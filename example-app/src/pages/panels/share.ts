import { type Html, html } from '../html.ts'

/** A code that was just made for this session. */
export interface Invitation {
  readonly code: string
  /** Milliseconds since 1970. */
  readonly until: number
  /** Undefined where no phone can reach the app. */
  readonly phone: PhoneWay | undefined
  /** The app listens to more than this computer. */
  readonly isOpen: boolean
}

/** How a phone comes to the form for joining, with the code filled in. */
export interface PhoneWay {
  readonly link: string
  /** The link as a picture. */
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
                <button id="share-button">${invitation === undefined ? 'Show a code' : 'Another code'}</button>
              </form>`
            : html`<p class="hint">Codes are kept in memcached, and this app was started without one.</p>`
        }
      </div>
      <details>
        <summary>Is this session fixation?</summary>
        <p>Session fixation is planting a session id that the attacker knows, and waiting for the victim to
          sign in with it. Here that leads nowhere: no link carries a session id, only a code that is worth
          nothing after one minute or one use. It is made by somebody who is in the session already, and following the
          link does nothing until you press Join, on a page of this app. And whoever signs in gets a new id,
          so an id known from before opens nothing.</p>
      </details>
    </section>`
}

function ticket({ code, until, phone, isOpen }: Invitation): Html {
  const life = Math.max(until - Date.now(), 0)
  return html`
    <join-code class="ticket" data-life="${life}">
      ${phone !== undefined && html`<div class="qr" role="img" aria-label="QR code of the link">${phone.qr}</div>`}
      <div>
        <p class="short-code" aria-live="polite"><span class="visually-hidden">The code is</span> <strong>${code}</strong></p>
        ${phone === undefined ? onlyHere(code, isOpen) : onPhone(phone)}
        <p class="hint">Good for one browser${' '}<span class="left">and ${Math.ceil(life / 1000)} seconds</span>.</p>
        ${phone !== undefined && ifNothing(phone)}
      </div>
    </join-code>`
}

function onPhone({ link }: PhoneWay): Html {
  return html`
    <p class="hint">Scan it with a phone in the same network, open the <a href="${link}">link</a> in another browser, or type the
      code at <code>${new URL(link).host}/join</code>.</p>`
}

function ifNothing({ link }: PhoneWay): Html {
  const { port } = new URL(link)
  return html`
    <details>
      <summary>The phone finds nothing?</summary>
      <p>Is it in the same Wi-Fi as this computer? Then a firewall is in the way: let port ${port === '' ? '443' : port} through. Windows and
        macOS ask when the app starts: allow Node. On Linux: <code>sudo ufw allow ${port}/tcp</code>.</p>
    </details>`
}

function onlyHere(code: string, isOpen: boolean): Html {
  return html`
    <p class="hint">Open the <a href="/join?code=${code}">link</a> in another browser or a private window of this computer.</p>
    <p class="hint">${
      isOpen
        ? html`For a phone, start the app with <code>PUBLIC_URL</code>: the address at which a phone finds this computer, such as <code>http://192.168.1.5:3000</code>.`
        : html`For a phone, start the app with <code>npm start -- --phone</code>: now it listens to this computer only.`
    }</p>`
}
