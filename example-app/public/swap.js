/*
 * Parts of the page that the server sends anew take the place of the old ones. What has not changed
 * stays the very same element: a row that is lit, open or half typed into is not touched by news of others.
 */

import { goHome } from './leave.js'
import { showTimes } from './times.js'

/** Each part and each row as the server sent it: scripts change what is shown. */
const sent = new WeakMap()

for (const part of document.querySelectorAll('[data-live], [data-live] > [id]'))
  sent.set(part, part.outerHTML)
showTimes(document)
setInterval(() => showTimes(document), 5000)

/**
 * Asks the server for a page and takes over the parts that differ. `cause` is the form or link that
 * asked: the part it is in is replaced, too, while others in which somebody is typing stay.
 */
export async function swapFrom(url, options, cause) {
  // Pressed twice. A button that is disabled would lose the focus.
  if (cause.hasAttribute('aria-busy')) return
  cause.setAttribute('aria-busy', 'true')
  try {
    const page = await askForPage(url, { ...options, headers: { 'X-Swap': '1' } })
    const failure = page.querySelector('.error h1')
    if (failure !== null) complain(cause, failure.textContent)
    else if (!isHome(page)) goHome()
    else {
      for (const old of document.querySelectorAll('.complaint')) old.remove()
      swap(page, cause)
      goOn(cause)
    }
  } catch {
    complain(cause, 'The app does not answer')
  } finally {
    cause.removeAttribute('aria-busy')
  }
}

/** The same where nobody pressed anything. It is no visit: the session's life goes on running down. */
export async function swapLive(url) {
  const turn = ++turns
  const page = await askForPage(url, { headers: { 'X-Look': '1' } }).catch(() => null)
  // In an outage the page stays as it is, and an answer that was overtaken is an old one.
  if (page !== null && isHome(page) && turn === turns) swap(page)
}

let turns = 0

async function askForPage(url, options) {
  const response = await fetch(url, options)
  return new DOMParser().parseFromString(await response.text(), 'text/html')
}

const isHome = page => page.getElementById('values') !== null

/** An error is told where it was caused: the page, and what was typed into it, stays. */
function complain(cause, title) {
  for (const old of document.querySelectorAll('.complaint')) old.remove()
  const text = document.createElement('p')
  text.className = 'problem complaint'
  text.setAttribute('role', 'alert')
  const isTypedIn = cause.querySelector('textarea, input:not([type="hidden"])') !== null
  text.textContent = `${title}. ${isTypedIn ? 'What you typed stays here: try' : 'Try'} again.`
  const place = isTypedIn ? cause : (cause.closest('.panel') ?? cause)
  place.append(text)
}

function swap(page, cause) {
  for (const part of page.querySelectorAll('[data-live]')) replacePart(part, cause)
  if (cause === undefined) return
  const own = cause.closest('[data-part]')?.id
  for (const part of page.querySelectorAll('[data-part]')) {
    const answers = 'answer' in part.dataset || part.querySelector('[aria-invalid="true"]') !== null
    if (answers || part.id === own) replacePart(part, cause)
  }
}

/** Somebody goes on with the keyboard: at what is wrong, else where the form or link says (`data-then`). */
function goOn(cause) {
  const wrong = document.getElementById(cause.id)?.querySelector('[aria-invalid="true"]')
  const next = wrong ?? document.getElementById(cause.dataset.then)
  next?.focus({ preventScroll: true })
  // What is wrong, and what can be done about it, stands below the field.
  if (wrong) {
    wrong.form.scrollIntoView({ block: 'nearest' })
    document.getElementById(wrong.getAttribute('aria-describedby'))?.scrollIntoView({ block: 'nearest' })
  } else next?.scrollIntoView({ block: 'nearest' })
}

export function replacePart(fresh, cause) {
  const old = document.getElementById(fresh.id)
  if (old === null) return
  const source = fresh.outerHTML
  // A form is drawn anew even so: what was typed into it has been sent.
  const isForm = 'part' in fresh.dataset
  if (!isForm && sent.get(old) === source && !old.querySelector('[data-editing]')) return
  sent.set(old, source)
  const focused = document.activeElement
  if (isKeyed(old) && isKeyed(fresh)) replaceRows(old, fresh, cause)
  else {
    showTimes(fresh)
    old.replaceChildren(...fresh.childNodes)
  }
  if (!focused.isConnected && focused.id) document.getElementById(focused.id)?.focus()
}

const isKeyed = part => part.children.length > 0 && Array.from(part.children).every(({ id }) => id !== '')

function replaceRows(old, fresh, cause) {
  const rows = Array.from(fresh.children)
  const ids = new Set(rows.map(({ id }) => id))
  // A row that somebody is typing in stays, whatever others do to it: saving it says so.
  const stays = row => row.matches('[data-editing]') && !(cause !== undefined && row.contains(cause))
  let here = old.firstElementChild
  for (const row of rows) {
    while (here !== null && !ids.has(here.id)) here = stays(here) ? here.nextElementSibling : removed(here)
    const before = document.getElementById(row.id)
    if (before === here && here !== null) here = here.nextElementSibling
    else if (before !== null) old.insertBefore(before, here)
    if (before !== null && (stays(before) || sent.get(before) === row.outerHTML)) continue
    sent.set(row, row.outerHTML)
    showTimes(row)
    // A row that was open says of which change it was.
    const { edit, since } = before?.dataset ?? {}
    if (row.dataset.edit !== undefined && row.dataset.edit !== (edit ?? since)) row.classList.add('changed')
    if (before === null) old.insertBefore(row, here)
    else before.replaceWith(row)
  }
  while (here !== null) here = ids.has(here.id) || stays(here) ? here.nextElementSibling : removed(here)
}

function removed(row) {
  const next = row.nextElementSibling
  row.remove()
  return next
}
