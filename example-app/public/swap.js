/**
 * Asks the server for a page and takes over the parts that differ. `cause` is the form or link that
 * asked: the part it is in is replaced, too, while others in which somebody is typing stay.
 */
export async function swapFrom(url, options, cause) {
  cause.setAttribute('aria-busy', 'true')
  const buttons = Array.from(cause.querySelectorAll('button'))
  for (const button of buttons) button.disabled = true
  try {
    const page = await askForPage(url, { ...options, headers: { 'X-Swap': '1' } })
    const failure = page.querySelector('.error h1')
    if (failure !== null) complain(cause, failure.textContent)
    else if (!isHome(page)) location.assign('/')
    else {
      for (const old of document.querySelectorAll('.complaint')) old.remove()
      swap(page, cause)
      const problem = document.querySelector('[aria-invalid="true"]')
      const field = problem ?? document.querySelector('.editor textarea')
      field?.focus()
    }
  } catch {
    complain(cause, 'The app does not answer')
  } finally {
    cause.removeAttribute('aria-busy')
    for (const button of buttons) button.disabled = false
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
  text.textContent = `${title}. What you typed stays here: try again.`
  const isTypedIn = cause.querySelector('textarea, input:not([type="hidden"])') !== null
  const place = isTypedIn ? cause : (cause.closest('.panel') ?? cause)
  place.append(text)
}

function swap(page, cause) {
  for (const part of page.querySelectorAll('[data-live]')) replacePart(part, cause)
  const own = cause?.closest('[data-part]')
  const fresh = own && page.getElementById(own.id)
  if (fresh) replacePart(fresh, cause)
}

export function replacePart(fresh, cause) {
  const old = document.getElementById(fresh.id)
  if (old === null) return
  showLocalTimes(fresh)
  keepEditors(old, fresh, cause)
  if (old.innerHTML === fresh.innerHTML) return
  const focused = document.activeElement
  for (const row of fresh.querySelectorAll('tr[data-edit]')) {
    const before = document.getElementById(row.id)
    if (before?.dataset.edit !== row.dataset.edit) row.classList.add('changed')
  }
  const inside = old.contains(focused)
  old.replaceChildren(...fresh.childNodes)
  if (inside && focused.id) document.getElementById(focused.id)?.focus()
}

/** The server knows no time zone, and says UTC. */
export function showLocalTimes(root) {
  for (const time of root.querySelectorAll('time[datetime]'))
    time.textContent = new Date(time.dateTime).toLocaleTimeString()
}

/** A row that somebody is typing in stays, whatever others do to it: saving it says so. */
function keepEditors(old, fresh, cause) {
  for (const editor of old.querySelectorAll('tr[data-editing]')) {
    if (cause !== undefined && editor.contains(cause)) continue
    const row = Array.from(fresh.children).find(child => child.id === editor.id)
    const typed = document.importNode(editor, true)
    typed.querySelector('textarea').value = editor.querySelector('textarea').value
    if (row === undefined) fresh.append(typed)
    else row.replaceWith(typed)
  }
}
