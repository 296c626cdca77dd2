import './copy.js'
import './outage.js'
import './overlap.js'
import './place.js'
import './said.js'
import { swapFrom } from './swap.js'

/* Forms and links marked data-swap work without a script; with it the page stays and only parts change. */

document.addEventListener('submit', event => {
  const form = event.target
  if (!form.matches('[data-swap]') || event.defaultPrevented) return
  event.preventDefault()
  const fields = new FormData(form, event.submitter)
  swapFrom(form.action, { method: 'POST', body: new URLSearchParams(fields) }, form)
})

document.addEventListener('click', event => {
  const link = event.target.closest('a[data-swap]')
  if (link !== null && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    event.preventDefault()
    swapFrom(link.href, {}, link)
  }
  const example = event.target.closest('.examples [data-key]')
  if (example !== null) {
    document.getElementById('add-key').value = example.dataset.key
    const value = document.getElementById('add-value')
    value.value = example.dataset.value
    value.focus()
  }
})

document.addEventListener('keydown', event => {
  const form = event.target.closest('textarea')?.form
  if (form === undefined || form === null) return
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey || (form.id === 'add' && !event.shiftKey))) {
    event.preventDefault()
    form.requestSubmit()
  }
  if (event.key === 'Escape') form.querySelector('[data-cancel]')?.click()
})
