import type { Json } from '../../session/data.ts'
import type { Life, Place } from '../../session/place.ts'
import { type Html, html } from '../html.ts'
import { colouredJson, prettyJson } from '../json.ts'

/** Where the session lives, how long still, and what exactly is stored there. */
export function placePanel(place: Place, isCarried: boolean): Html {
  return html`
    <section class="panel" id="where" aria-labelledby="where-title">
      <header>
        <h2 id="where-title">Where it lives</h2>
        <p>One item in memcached, in plain JSON: any language that speaks to memcached can read it.</p>
      </header>
      <div class="place">
        <div>
          ${lifeRing(place.life)}
          <div id="place" data-live>${placeFacts(place, isCarried)}</div>
        </div>
        <div>
          <h3>As it is stored</h3>
          ${rawText(place)}
        </div>
      </div>
    </section>`
}

/** The parts of the panel that change by themselves, to be sent alone. */
export function placeParts(place: Place, isCarried: boolean): Html {
  return html`${lifeRing(place.life)}<div id="place" data-live>${placeFacts(place, isCarried)}</div>${rawText(place)}`
}

/** `isCarried`: it is served by the durable store, since memcached is away. */
function placeFacts({ key, holders: [home, ...copies], bytes }: Place, isCarried: boolean): Html {
  const elsewhere = isCarried ? 'the durable store, for now' : 'not known'
  return html`
    <dl class="facts">
      <div><dt>Key</dt><dd><code>${key}</code></dd></div>
      <div><dt>Home server</dt><dd>${home === undefined ? elsewhere : html`<code>${home}</code>`}</dd></div>
      <div><dt>Size</dt><dd>${bytes.toLocaleString('en')} ${bytes === 1 ? 'byte' : 'bytes'}</dd></div>
      ${copies.length > 0 && html`<div><dt>Copies on further servers</dt><dd><code>${copies.join(', ')}</code></dd></div>`}
    </dl>`
}

const RADIUS = 42
const ROUND = 2 * Math.PI * RADIUS

/** The script ticks it: `data-left` and `data-whole` are milliseconds. */
function lifeRing(life: Life | undefined): Html {
  if (life === undefined) return html`<div id="life" data-live></div>`
  const clock = minutesAndSeconds(life.left)
  const gone = ROUND * (1 - Math.min(life.left / life.whole, 1))
  return html`
    <div id="life" class="life" data-live>
      <svg class="ring" viewBox="0 0 100 100" role="img" aria-label="Remaining life: ${clock}" data-left="${Math.round(life.left)}" data-whole="${life.whole}">
        <circle class="track" cx="50" cy="50" r="${RADIUS}"/>
        <circle class="arc" cx="50" cy="50" r="${RADIUS}" transform="rotate(-90 50 50)" stroke-dasharray="${ROUND.toFixed(2)}" stroke-dashoffset="${gone.toFixed(2)}"/>
        <text x="50" y="50" text-anchor="middle" dominant-baseline="central">${clock}</text>
      </svg>
      <div>
        <h3>Remaining life</h3>
        <p class="hint when-up">Every visit gives it ${inMinutes(life.whole)} again. This page looks without visiting, so it runs down while you watch.</p>
        <p class="hint when-away">Not known while its server does not answer.</p>
        <a class="button" id="visit" href="/" data-swap data-then="visit">Visit now</a>
      </div>
    </div>`
}

function rawText({ text }: Place): Html {
  return html`<pre class="raw" id="raw" data-live tabindex="0" aria-label="The session as it is stored"><code>${colouredJson(pretty(text))}</code></pre>`
}

function minutesAndSeconds(milliseconds: number): string {
  const seconds = Math.ceil(milliseconds / 1000)
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`
}

function inMinutes(milliseconds: number): string {
  const minutes = Math.round(milliseconds / 60_000)
  if (minutes === 60) return 'an hour'
  return minutes === 1 ? 'a minute' : `${minutes} minutes`
}

function pretty(text: string): string {
  try {
    return prettyJson(JSON.parse(text) as Json)
  } catch {
    return text
  }
}
