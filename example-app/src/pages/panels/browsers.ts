import type { UserSession } from 'express-session-memcached'
import { numbered } from '../../session/browsers.ts'
import { isSignedIn } from '../../session/data.ts'
import { handleOf } from '../../session/logins.ts'
import { type Html, html } from '../html.ts'
import { clock } from '../time.ts'

interface Model {
  /** Of this user, everywhere; undefined where the store cannot tell. */
  readonly logins: readonly UserSession[] | undefined
  readonly sid: string
  /** This browser's id. */
  readonly browser: string | undefined
  /** Names of browsers whose sessions were just ended. */
  readonly signedOut?: readonly string[] | undefined
}

/** Where else the same user is signed in. */
export function browsersPanel(model: Model): Html {
  return html`
    <section class="panel" aria-labelledby="browsers-title">
      <header>
        <h2 id="browsers-title">Your browsers</h2>
        <p>Sign in elsewhere with the same name, and that session shows here, too.</p>
      </header>
      ${browserList(model)}
      <div class="said" id="browsers-said" role="status" tabindex="-1" data-part data-answer>${signedOut(model.signedOut)}</div>
    </section>`
}

/** Also sent alone, every few seconds. */
export function browserList(model: Model): Html {
  return html`<div id="browsers" data-live>${listed(model)}</div>`
}

function listed({ logins, sid, browser }: Model): Html {
  if (logins === undefined)
    return html`<p class="hint">This store cannot tell the sessions of a user. With <code>userOf</code>, a MemcachedStore can.</p>`
  const here = logins.filter(login => login.sid === sid)
  const elsewhere = logins.filter(login => login.sid !== sid)
  return html`
    <ul class="logins">
      ${[...here, ...elsewhere].map(login => loginItem(login, login.sid === sid, browser))}
    </ul>
    ${
      elsewhere.length > 0 &&
      html`<form method="post" action="/browsers/sign-out-others" data-swap data-then="browsers-said">
        <button id="sign-out-others">Sign out everywhere else</button>
      </form>`
    }`
}

function signedOut(names: readonly string[] | undefined): Html | false {
  return (
    names !== undefined &&
    html`<p>Signed out ${names.length === 0 ? 'nobody: there was no other session' : names.join(' and ')}.</p>`
  )
}

function loginItem(
  { sid, session, lastSeen }: UserSession,
  isHere: boolean,
  browser: string | undefined,
): Html {
  const browsers = isSignedIn(session) ? session.browsers : {}
  const handle = handleOf(sid)
  return html`
    <li class="login${isHere && ' here'}">
      <div>
        <h3>${isHere ? 'This session' : 'Another session'}${lastSeen !== undefined && html`<span class="seen">, seen ${clock(lastSeen)}</span>`}</h3>
        <ul>${Object.entries(browsers).map(
          ([id, one]) => html`
            <li><span class="dot" data-colour="${one.colour}"></span> ${numbered(browsers, id, one)}
              ${isHere && id === browser && html`<small>this browser</small>`}</li>`,
        )}</ul>
      </div>
      ${
        !isHere &&
        html`<form method="post" action="/browsers/sign-out" data-swap data-then="browsers-said">
          <input type="hidden" name="session" value="${handle}">
          <button class="quiet danger" id="sign-out-${handle}" aria-label="Sign out ${namesIn(session)}">Sign out</button>
        </form>`
      }
    </li>`
}

/** "Firefox on Linux and Chrome on Android". */
export function namesIn(session: UserSession['session']): string {
  if (!isSignedIn(session)) return 'a session'
  const { browsers } = session
  return Object.entries(browsers)
    .map(([id, browser]) => numbered(browsers, id, browser))
    .join(' and ')
}
