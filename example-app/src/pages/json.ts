import type { Json } from '../session/data.ts'
import { type Content, type Html, html } from './html.ts'

/** Strings, numbers, words and keys of JSON text, for colouring. A key is a string with a colon after it. */
const TOKEN = /("(?:[^"\\]|\\.)*")(\s*:)?|(-?\d[\d.eE+-]*)|\b(true|false|null)\b/g

/** JSON text, coloured. Text that is no JSON stays as it is. */
export function colouredJson(text: string): Html {
  const contents: Content[] = []
  let end = 0
  for (const match of text.matchAll(TOKEN)) {
    const [whole, string, colon, number] = match
    contents.push(text.slice(end, match.index))
    if (string !== undefined)
      contents.push(
        html`<span class="${colon === undefined ? 'json-text' : 'json-key'}">${string}</span>${colon}`,
      )
    else
      contents.push(html`<span class="${number === undefined ? 'json-word' : 'json-number'}">${whole}</span>`)
    end = match.index + whole.length
  }
  contents.push(text.slice(end))
  return html`${contents}`
}

/** JSON as somebody would write it: what fits into a line of so many characters is in one. */
export function prettyJson(value: Json, width = 60, indent = ''): string {
  // With spaces, where a narrow screen can break the line.
  const line = JSON.stringify(value, null, 1).replace(/\n */g, ' ')
  if (typeof value !== 'object' || value === null || indent.length + line.length <= width) return line
  const inner = `${indent}  `
  const parts = Array.isArray(value)
    ? value.map(item => prettyJson(item, width, inner))
    : Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}: ${prettyJson(item, width, inner)}`)
  const [open, close] = Array.isArray(value) ? '[]' : '{}'
  return `${open}\n${parts.map(part => inner + part).join(',\n')}\n${indent}${close}`
}

/** In JSON's own words. */
export function typeOf(value: Json): string {
  if (value === null) return 'null'
  return Array.isArray(value) ? 'array' : typeof value
}
