import { REQUESTS, type Survivors } from '../../overlap/contest.ts'
import { type Html, html } from '../html.ts'

/** What the two stores kept; undefined before the first test. */
export interface Overlap {
  readonly here: Survivors
  readonly ordinary: Survivors
}

/** How many of many overlapping updates survive: in this store, and in an ordinary one. */
export function overlapPanel(overlap: Overlap | undefined): Html {
  return html`
    <section class="panel" id="overlap" aria-labelledby="overlap-title">
      <header>
        <h2 id="overlap-title">Does it lose an update?</h2>
        <p>${REQUESTS} requests read one session, and only then each saves it with an update of its own.
          Most stores keep what was saved last, and drop the rest.</p>
      </header>
      <div class="sides">
        ${side('here', 'This store, on memcached', overlap?.here)}
        ${side('ordinary', 'express-session’s MemoryStore', overlap?.ordinary)}
      </div>
      <form id="overlap-form" method="post" action="/overlap">
        <button>Fire ${REQUESTS} requests at once</button>
        <p class="hint" id="overlap-status" role="status"></p>
      </form>
    </section>`
}

function side(id: string, name: string, survivors: Survivors | undefined): Html {
  const words = survivors === undefined ? 'not run yet' : `${survivors.length} of ${REQUESTS} survived`
  const cells = Array.from({ length: REQUESTS }, (_, n) => {
    const state = survivors && (survivors.includes(n) ? 'kept' : 'lost')
    return html`<rect x="${n * 10 + 1}" y="1" width="8" height="24" rx="1.5" ${state && html`class="${state}"`}/>`
  })
  return html`
    <div class="side" id="overlap-${id}">
      <h3>${name}</h3>
      <strong class="side-words">${words}</strong>
      <svg viewBox="0 0 ${REQUESTS * 10} 26" preserveAspectRatio="none" role="img" aria-label="${name}: ${words}">${cells}</svg>
    </div>`
}
