import type { Json } from './data.ts'

/** Far below what `JSON.stringify` can do before its stack is full. */
const DEEPEST = 100

export type JsonInput = { readonly value: Json } | { readonly problem: string }

/** Reads what somebody typed as JSON, or says in plain words what is wrong with it. */
export function readJson(text: string): JsonInput {
  try {
    const value = JSON.parse(text) as Json
    return isDeeper(value, DEEPEST) ? { problem: `That is nested more than ${DEEPEST} deep.` } : { value }
  } catch (error) {
    return { problem: explain(text.trim(), error as SyntaxError) }
  }
}

function explain(text: string, error: SyntaxError): string {
  if (text === '') return 'A value is missing. For no value at all, write null.'
  if (/^'.*'$/s.test(text)) return 'JSON wants double quotes: "…" instead of \'…\'.'
  if (/,\s*[\]}]/.test(text)) return 'There is a comma too many before a closing bracket.'
  if (/^[\w\p{L}][^"[\]{}:]*$/u.test(text)) return 'JSON wants text in double quotes.'
  if (/^[[{]/.test(text) && /end of JSON|Unterminated|after (array|property)/i.test(error.message))
    return 'Something is not closed: look for a missing bracket, brace, quote or comma.'
  if (/[{,]\s*\w+\s*:/.test(text)) return 'JSON wants the names in an object in double quotes, too.'
  return 'This is not JSON yet.'
}

function isDeeper(value: Json, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  return levels === 0 || Object.values(value).some(item => isDeeper(item, levels - 1))
}
