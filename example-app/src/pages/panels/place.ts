import type { Place } from '../../session/place.ts'
import { type Html, html } from '../html.ts'
import { colouredJson } from '../json.ts'

/** Where the session lives, and what exactly is stored there. */
export function placePanel(place: Place): Html {
  return html`
    <section class="panel" id="where" aria-labelledby="where-title">
      <header>
        <h2 id="where-title">Where it lives</h2>
        <p>One item in memcached. Any language that speaks to memcached can read it: it is plain JSON.</p>
      </header>
      <div id="place" data-live>${placeFacts(place)}</div>
    </section>`
}

export function placeFacts(place: Place): Html {
  return html`
    <dl class="facts">
      <div><dt>Key</dt><dd><code>${place.key}</code></dd></div>
      <div><dt>Server</dt><dd>${place.holders.length === 0 ? 'not known' : html`<code>${place.holders.join(', ')}</code>`}</dd></div>
      <div><dt>Size</dt><dd>${place.bytes.toLocaleString('en')} bytes</dd></div>
    </dl>
    <h3>As it is stored</h3>
    <pre class="raw" tabindex="0" aria-label="The session as it is stored"><code>${colouredJson(pretty(place.text))}</code></pre>`
}

function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2)
  } catch {
    return text
  }
}
