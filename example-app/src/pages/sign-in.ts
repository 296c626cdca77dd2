import type { Health } from '../memcached/health.ts'
import { type Html, html } from './html.ts'
import { layout } from './layout.ts'
import { bringBack } from './outage.ts'
import { tour } from './panels/tour.ts'

interface Model {
  readonly name?: string
  readonly problem?: string
  /** This browser had a session that is not there any more. */
  readonly ended?: boolean
  /** Servers that do not answer. */
  readonly away?: readonly Health[]
}

/** The first thing that a new visitor sees. */
export function signInPage({ name, problem, ended = false, away = [] }: Model = {}): Html {
  return layout({
    title: 'Sign in',
    body: html`
      <div class="welcome">
        ${ended && html`<p class="notice" role="status">Your session has ended: it was signed out from another browser, or it is not stored any more.</p>`}
        <h1>Sessions that stay.</h1>
        <p class="lead">Sign in, put something into your session, close the browser, open it again: it is still there.
          Kept in memcached, by an express-session store that loses nothing.</p>
        <form class="panel sign-in" method="post" action="/sign-in">
          <div class="field grow">
            <label for="name">What shall we call you?</label>
            <input id="name" name="name" value="${name}" required maxlength="40" autocomplete="nickname" autofocus
              ${problem !== undefined && html`aria-invalid="true" aria-describedby="name-problem"`}>
          </div>
          <button class="primary">Sign in</button>
          ${problem !== undefined && html`<p class="problem" id="name-problem" role="alert">${problem}</p>`}
          <p class="hint">No password: this is a demonstration, and a name is all it asks for.</p>
        </form>
        ${bringBack(away)}
        <p class="hint">Signed in on another browser already? <a href="/join">Join its session with a code.</a></p>
        <h2 class="tour-title">What you will have seen in a minute</h2>
        ${tour({ withLinks: false, withTrouble: true })}
      </div>`,
  })
}
