import { replacePart } from './swap.js'

/* The ring runs down, and every few seconds the page asks where its session is and how the servers are. */

const SECOND = 1000
const NEWS_EVERY = 3 * SECOND

const ring = () => document.querySelector('.ring')
let shown = null
let end = 0
let asking = false

function tick() {
  const now = ring()
  if (now === null) return
  if (now !== shown) {
    const before = end
    end = Date.now() + Number(now.dataset.left)
    if (shown !== null && end - before > 1.5 * SECOND) now.classList.add('refreshed')
    shown = now
  }
  const left = Math.max(end - Date.now(), 0)
  const seconds = Math.ceil(left / SECOND)
  const clock = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`
  const arc = now.querySelector('.arc')
  const round = Number(arc.getAttribute('stroke-dasharray'))
  arc.setAttribute('stroke-dashoffset', (round * (1 - Math.min(left / now.dataset.whole, 1))).toFixed(2))
  now.querySelector('text').textContent = clock
  now.setAttribute('aria-label', `Remaining life: ${clock}`)
}

export async function askForNews() {
  if (asking || document.hidden) return
  asking = true
  try {
    const response = await fetch('/place')
    if (response.status === 204) location.assign('/')
    else if (response.ok) {
      const news = new DOMParser().parseFromString(await response.text(), 'text/html')
      for (const part of news.querySelectorAll('[data-live]')) replacePart(part)
      tick()
    }
  } catch {
    // The app is being restarted, perhaps: the next time will tell.
  } finally {
    asking = false
  }
}

if (document.getElementById('place') !== null) {
  tick()
  setInterval(tick, SECOND)
  setInterval(askForNews, NEWS_EVERY)
  document.addEventListener('visibilitychange', askForNews)
}

/* Stopping a server and bringing it back: the page stays, and shows what becomes of it. */
document.addEventListener('submit', async event => {
  const form = event.target
  if (!form.matches('[data-trouble]') || document.getElementById('place') === null) return
  event.preventDefault()
  const body = new URLSearchParams(new FormData(form, event.submitter))
  if (form.hasAttribute('aria-busy')) return
  form.setAttribute('aria-busy', 'true')
  // What comes after it may be an outage: the news say that more kindly than a page of its own.
  await fetch(form.action, { method: 'POST', body, redirect: 'manual' }).catch(() => {})
  await askForNews()
  form.removeAttribute('aria-busy')
})
