// Bar charts as SVG, readable on light and on dark pages.

import { number } from './table.js'

const WIDTH = 720
const LABEL = 210
const ROW = 26
const TOP = 46

/**
 * @typedef {object} Bar
 * @property {string} label
 * @property {number} value
 * @property {number} [low] of the rounds
 * @property {number} [high]
 */

const STYLE = `
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .title { font-weight: 600; font-size: 15px }
  .quiet, .quiet text { fill: #59636e }
  .bar { fill: #afb8c1 } .limit { fill: #d1d9e0 } .ours { fill: #1a7f37 }
  .spread { stroke: #59636e; stroke-width: 1.5 }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .quiet { fill: #9198a1 }
    .bar { fill: #656c76 } .limit { fill: #3d444d } .ours { fill: #3fb950 }
    .spread { stroke: #c9d1d9 }
  }`

/**
 * @param {string} title @param {string} unit what the numbers are, and which way is better
 * @param {Bar[]} bars @returns {string}
 */
export function barChart(title, unit, bars) {
  const height = TOP + bars.length * ROW + 12
  const largest = Math.max(...bars.map(bar => Math.max(bar.value, bar.high ?? 0)), Number.MIN_VALUE)
  const scale = (WIDTH - LABEL - 90) / largest
  const rows = bars.map((bar, index) => {
    const y = TOP + index * ROW
    const width = Math.max(bar.value * scale, 1)
    const end = LABEL + Math.max(width, (bar.high ?? 0) * scale) + 8
    const kind = bar.label === 'ours' ? 'ours' : bar.label === 'limit' ? 'limit' : 'bar'
    const range =
      bar.low === undefined || bar.high === undefined
        ? ''
        : `<line class="spread" x1="${px(LABEL + bar.low * scale)}" x2="${px(LABEL + bar.high * scale)}" y1="${y + 9}" y2="${y + 9}"/>`
    return `  <text x="${LABEL - 10}" y="${y + 14}" text-anchor="end">${plain(bar.label)}</text>
  <rect class="${kind}" x="${LABEL}" y="${y}" width="${px(width)}" height="18" rx="2"/>${range}
  <text class="quiet" x="${px(end)}" y="${y + 14}">${number(bar.value)}</text>`
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${plain(title)}">
<style>${STYLE}
</style>
  <text class="title" x="8" y="18">${plain(title)}</text>
  <text class="quiet" x="8" y="36">${plain(unit)}</text>
${rows.join('\n')}
</svg>
`
}

const px = (/** @type {number} */ value) => value.toFixed(1)

/** @param {string} text */
function plain(text) {
  return text.replace(/[&<>"]/g, sign => `&#${sign.charCodeAt(0)};`)
}
