import type { UserSession } from 'express-session-memcached'
import { type Browser, colourName, isSignedIn } from '../../session/data.ts'
import { handleOf } from '../../session/logins.ts'
import { type Html, html } from '../html.ts'

interface Model {
  /** Of this user, everywhere; undefined where the store cannot tell. */
  readonly logins: readonly UserSession[] | undefined
  readonly sid: string
  /** This browser's id. */
  readonly browser: string | undefined
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
      html`<form method="post" action="/browsers/sign-out-others" data-swap>
        <button id="sign-out-others">Sign out everywhere else</button>
      </form>`
    }`
}

function loginItem(
  { sid, session, lastSeen }: UserSession,
  isHere: boolean,
  browser: string | undefined,
): Html {
  const browsers = isSignedIn(session) ? Object.entries(session.browsers) : []
  const handle = handleOf(sid)
  const names = browsers.map(([, { name }]) => name).join(' and ')
  return html`
    <li class="login${isHere && ' here'}">
      <div>
        <h3>${isHere ? 'This session' : 'Another session'}${lastSeen !== undefined && html`<span class="seen">, seen ${clock(lastSeen)}</span>`}</h3>
        <ul>${browsers.map(([id, one]) => browserItem(one, isHere && id === browser))}</ul>
      </div>
      ${
        !isHere &&
        html`<form method="post" action="/browsers/sign-out" data-swap>
          <input type="hidden" name="session" value="${handle}">
          <button class="quiet danger" id="sign-out-${handle}" aria-label="Sign out ${names}">Sign out</button>
        </form>`
      }
    </li>`
}

function browserItem(browser: Browser, isThis: boolean): Html {
  return html`
    <li><span class="dot" data-colour="${browser.colour}"></span> ${browser.name}
      <small>${colourName(browser)}${isThis && ', this browser'}</small></li>`
}

function clock(date: Date): Html {
  const iso = date.toISOString()
  return html`<time datetime="${iso}">${iso.slice(11, 19)} UTC</time>`
}
