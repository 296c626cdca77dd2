import { goHome } from './leave.js'
import { sayNext } from './said.js'
import { replacePart } from './swap.js'

/* The ring runs down, and every few seconds the page asks where its session is and how the servers are. */

const SECOND = 1000
const NEWS_EVERY = 3 * SECOND
const ANSWER_FOR = 8 * SECOND

const home = document.getElementById('home')
const ring = () => document.querySelector('.ring')
let shown = null
let end = 0
/** The question that is under way. */
let asking

function tick() {
  const now = ring()
  // In an outage nobody knows how long it still lives.
  if (now === null || 'away' in home.dataset) return
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
  if (document.hidden) return
  asking ??= ask().finally(() => {
    asking = undefined
  })
  await asking
}

async function ask() {
  try {
    const response = await fetch('/place')
    if (response.status === 204) goHome()
    else if (response.ok) {
      const news = new DOMParser().parseFromString(await response.text(), 'text/html')
      for (const part of news.querySelectorAll('[data-live]')) replacePart(part)
      showOutage(news.querySelector('.outage') !== null)
      tick()
    }
  } catch {
    // The app is being restarted, perhaps: the next time will tell.
  }
}

function showOutage(isAway) {
  home.toggleAttribute('data-away', isAway)
  if (!isAway || ring() === null) return
  ring().querySelector('text').textContent = '–:––'
  ring().setAttribute('aria-label', 'Remaining life: not known')
  // What comes after it is drawn anew.
  shown = null
}

if (home !== null) {
  tick()
  setInterval(tick, SECOND)
  setInterval(askForNews, NEWS_EVERY)
  document.addEventListener('visibilitychange', askForNews)
}

/* Stopping a server and bringing it back: the page stays, and shows what becomes of it. */
document.addEventListener('submit', async event => {
  const form = event.target
  if (!form.matches('[data-trouble]') || home === null) return
  event.preventDefault()
  if (form.hasAttribute('aria-busy')) return
  form.setAttribute('aria-busy', 'true')
  const { submitter } = event
  const body = new URLSearchParams(new FormData(form, submitter))
  const stops = submitter.value === 'stop'
  const { trouble: name, backed } = form.dataset
  const started = performance.now()
  const before = [...submitter.childNodes]
  submitter.textContent = stops ? 'Stopping…' : 'Starting…'
  // What comes after it may be an outage: the news say that more kindly than a page of its own.
  await fetch(form.action, { method: 'POST', body, redirect: 'manual' }).catch(() => {})
  const took = ((performance.now() - started) / 1000).toFixed(1)
  const words = stops ? `Stopped ${name}.` : `Back in ${took} s: ${name}, ${whatIsIn(backed)}.`
  if (!stops && backed === undefined) sayNext(words)
  // What was asked before it happened tells nothing of it.
  await asking
  const notice = form.closest('#outage')
  await askForNews()
  submitter.replaceChildren(...before)
  form.removeAttribute('aria-busy')
  if (notice !== null && !form.isConnected) answerIn(notice, words)
  else document.getElementById('servers-said').textContent = words
})

const whatIsIn = backed =>
  backed === undefined ? 'and empty' : 'empty, and filled again from the durable store'

/** The notice that was asked has gone: its answer takes its place for a while, and the keyboard goes on there. */
function answerIn(notice, text) {
  const answer = document.createElement('p')
  answer.className = 'notice'
  answer.tabIndex = -1
  answer.textContent = text
  notice.append(answer)
  answer.focus({ preventScroll: true })
  answer.addEventListener('blur', () => answer.remove())
  setTimeout(() => {
    if (!answer.matches(':focus-visible')) answer.remove()
  }, ANSWER_FOR)
}
