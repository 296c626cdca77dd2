import { type Html, html } from './html.ts'

/** A time of today. The page's script says how long ago that is, and the visitor's own time where it is pointed at. */
export function clock(at: number | Date): Html {
  const iso = new Date(at).toISOString()
  return html`<time datetime="${iso}">${iso.slice(11, 19)} UTC</time>`
}
