import { REQUESTS, type Survivors } from '../../overlap/contest.ts'
import type { Outcome } from '../../overlap/proof.ts'
import { type Html, html } from '../html.ts'

interface Model {
  /** Undefined before the first test. */
  readonly outcome: Outcome | undefined
  /** Run by itself as soon as the page is there. */
  readonly runs: boolean
  /** The most important button of the page, under a title of its own; else the page's title is about it. */
  readonly isPrimary: boolean
}

/** The proof, and what leads every page: how many of many overlapping updates survive, here and in an ordinary store. */
export function overlapPanel({ outcome, runs, isPrimary }: Model): Html {
  return html`
    <section class="panel hero" id="overlap" aria-labelledby="overlap-title" ${runs && html`data-runs`}>
      <header>
        <h2 id="overlap-title" ${!isPrimary && html`class="visually-hidden"`}>${REQUESTS} requests change one session at once</h2>
        <p>Each request reads the session, waits until all have read it, then saves an update of its own. It really runs, on this machine.</p>
      </header>
      <div class="sides">
        ${side('here', html`express-session-memcached`, 'this store', outcome?.here)}
        ${side('ordinary', html`MemoryStore`, 'express-session’s own', outcome?.ordinary)}
      </div>
      <p class="hint">connect-redis, connect-memcached, connect-memjs and memorystore keep 1 of ${REQUESTS}, too: the last to save wins.</p>
      <div class="hero-foot">
        <form id="overlap-form" method="post" action="/overlap">
          <button ${isPrimary && html`class="primary"`}>${isPrimary ? `Fire ${REQUESTS} requests at once` : 'Run it again'}</button>
          <p class="hint" id="overlap-status" role="status"></p>
        </form>
        <p class="install"><code id="install">npm install <span>express-session-memcached</span></code><button class="quiet" data-copy="install">Copy<span class="visually-hidden"> the command</span></button></p>
      </div>
    </section>`
}

function side(id: keyof Outcome, name: Html, what: string, survivors: Survivors | undefined): Html {
  const cells = Array.from({ length: REQUESTS }, (_, n) => {
    const state = survivors && (survivors.includes(n) ? 'kept' : 'lost')
    return html`<g ${state && html`class="${state}"`}><rect x="${n * 10 + 1}" y="1" width="8" height="30"/><path d="M${n * 10 + 3} 12.5l4 7m0-7l-4 7"/></g>`
  })
  return html`
    <div class="side" id="overlap-${id}">
      <h3>${name} <small>${what}</small></h3>
      <p class="score">${score(survivors)}</p>
      <svg viewBox="0 0 ${REQUESTS * 10} 32" preserveAspectRatio="none" aria-hidden="true">${cells}</svg>
    </div>`
}

/** The script writes the same. */
function score(survivors: Survivors | undefined): Html {
  if (survivors === undefined) return html`<span>not run yet</span>`
  const lost = REQUESTS - survivors.length
  return html`<strong>${survivors.length} of ${REQUESTS}</strong> <span class="${lost > 0 && 'loss'}">${lost > 0 ? `${lost} lost` : 'none lost'}</span>`
}
