// Tables that are read in a terminal as well as on a page.

import { median, quantile } from './measure.js'

/**
 * A Markdown table with its columns aligned; all but the first are numbers.
 * @param {string[]} head @param {string[][]} rows @returns {string}
 */
export function table(head, rows) {
  const all = [head, ...rows]
  const widths = head.map((_, column) => Math.max(...all.map(row => row[column]?.length ?? 0), 3))
  const line = (/** @type {string[]} */ row) =>
    `| ${widths.map((width, column) => (column === 0 ? (row[column] ?? '').padEnd(width) : (row[column] ?? '').padStart(width))).join(' | ')} |`
  const rule = `|${widths.map((width, column) => (column === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`
  return [line(head), rule, ...rows.map(line)].join('\n')
}

/** Whole numbers as they are, others with three digits that count; thousands with a comma. @param {number} value @returns {string} */
export function number(value) {
  if (!Number.isFinite(value)) return '–'
  if (Number.isInteger(value) || Math.abs(value) >= 100) return Math.round(value).toLocaleString('en-US')
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2)
}

/**
 * The median, and how far the rounds lie apart.
 * @param {number[]} values @returns {string}
 */
export function spread(values) {
  const sorted = [...values].sort((a, b) => a - b)
  return `${number(median(sorted))} (${number(sorted[0])}–${number(sorted[sorted.length - 1])})`
}

/**
 * The median, and between what half of the rounds lie.
 * @param {number[]} values @returns {string}
 */
export function quartiles(values) {
  return `${number(median(values))} (${number(quantile(values, 0.25))}–${number(quantile(values, 0.75))})`
}

/**
 * @typedef {object} Target
 * @property {string} what
 * @property {number} measured
 * @property {number} [atMost]
 * @property {number} [atLeast]
 */

/** What was aimed at, and what was reached. @param {Target[]} targets @returns {string} */
export function targets(targets) {
  return table(
    ['target', 'reach', 'measured', ''],
    targets.map(({ what, measured, atMost, atLeast }) => [
      what,
      atMost === undefined ? `≥ ${atLeast}` : `≤ ${atMost}`,
      measured.toFixed(2),
      (atMost === undefined ? measured >= Number(atLeast) : measured <= atMost) ? 'reached' : 'MISSED',
    ]),
  )
}

/** For a chart: the median with its spread. @param {string} label @param {number[]} values */
export function bar(label, values) {
  return { label, value: median(values), low: Math.min(...values), high: Math.max(...values) }
}
