import { type Html, html } from './html.ts'
import { layout } from './layout.ts'

interface Model {
  /** As it was typed, or as the link said. */
  readonly code: string
  readonly problem?: string
  /** Whose session this browser is in now. */
  readonly leaves?: string
}

/** Where a browser gives a code that another one shows. */
export function joinPage({ code, problem, leaves }: Model): Html {
  return layout({
    title: 'Join a session',
    body: html`
      <div class="welcome alone">
        <h1>Join a session</h1>
        <p class="lead">Another browser shows a code. With it, this one comes into the same session:
          both see and change the same data.</p>
        <form class="panel sign-in" method="post" action="/join">
          <div class="field grow">
            <label for="code">Code</label>
            <input id="code" class="code-input" name="code" value="${code}" required maxlength="20" spellcheck="false" autocapitalize="characters"
              autocomplete="one-time-code" placeholder="ABCD-2345" autofocus
              ${problem !== undefined && html`aria-invalid="true" aria-describedby="code-problem"`}>
          </div>
          <button class="primary">Join</button>
          ${problem !== undefined && html`<p class="problem" id="code-problem" role="alert">${problem}</p>`}
          <p class="hint">${
            leaves === undefined
              ? 'Join only with a code that you see on a screen of your own: what you put in, everybody in the session sees.'
              : `This browser leaves ${leaves}’s session for it. That one stays as it is.`
          }</p>
        </form>
        <p class="hint"><a href="/">${leaves === undefined ? 'No code? Start a session of your own.' : 'Stay where you are.'}</a></p>
      </div>`,
  })
}
