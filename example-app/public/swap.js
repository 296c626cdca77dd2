/**
 * Asks the server for a page and takes over the parts that differ. `cause` is the form or link that
 * asked: its own part is replaced, too, while other parts in which somebody is typing stay.
 */
export async function swapFrom(url, options, cause) {
  cause.setAttribute('aria-busy', 'true')
  for (const button of cause.querySelectorAll('button')) button.disabled = true
  try {
    const response = await fetch(url, options)
    const page = new DOMParser().parseFromString(await response.text(), 'text/html')
    if (page.getElementById('values') === null) location.assign('/')
    else swap(page, cause)
  } catch {
    // The app cannot be reached: the browser's own page says so best.
    location.assign('/')
  } finally {
    cause.removeAttribute('aria-busy')
    for (const button of cause.querySelectorAll('button')) button.disabled = false
  }
}

/** Parts of a page that may be replaced alone, by their ids. */
const PARTS = '[data-live], .add'

function swap(page, cause) {
  for (const part of page.querySelectorAll(PARTS)) replacePart(part, cause)
  const problem = document.querySelector('[aria-invalid="true"]')
  const field = problem ?? document.querySelector('.editor textarea')
  field?.focus()
}

export function replacePart(fresh, cause) {
  const old = document.getElementById(fresh.id)
  if (old === null || old.innerHTML === fresh.innerHTML) return
  const focused = document.activeElement?.id
  for (const row of fresh.querySelectorAll('tr[data-edit]')) {
    const before = document.getElementById(row.id)
    if (before?.dataset.edit !== row.dataset.edit) row.classList.add('changed')
  }
  old.replaceChildren(...fresh.childNodes)
  if (focused) document.getElementById(focused)?.focus()
}
