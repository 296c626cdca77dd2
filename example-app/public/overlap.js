/* The overlap test: reads how it goes on, line by line, and draws it. */

const panel = document.getElementById('overlap')
const form = document.getElementById('overlap-form')
/** Milliseconds from one bar to the next, when it is told what became of them. */
const REVEAL = 14

if (panel !== null) {
  form.addEventListener('submit', event => {
    event.preventDefault()
    void run()
  })
  if ('runs' in panel.dataset) void run()
}

async function run() {
  if (form.hasAttribute('aria-busy')) return
  form.setAttribute('aria-busy', 'true')
  say('Running …')
  for (const side of panel.querySelectorAll('.side')) {
    paint(side, () => '')
    score(side, 'waiting')
  }
  const kept = {}
  try {
    const response = await fetch(form.action, {
      method: 'POST',
      headers: { accept: 'application/x-ndjson' },
    })
    if (!response.ok) throw new Error(String(response.status))
    for await (const news of linesOf(response)) show(news, kept)
    if ('ordinary' in kept) say(`This store kept ${kept.here} updates, MemoryStore ${kept.ordinary}.`)
  } catch {
    say('That did not work; try again in a minute.')
  } finally {
    for (const side of panel.querySelectorAll('.side'))
      if (!(side.id.replace('overlap-', '') in kept)) score(side, 'not run')
    form.removeAttribute('aria-busy')
  }
}

function show({ problem, side: name, read, saved, survivors }, kept) {
  if (problem !== undefined) {
    say(problem)
    return
  }
  const side = document.getElementById(`overlap-${name}`)
  if (survivors === undefined) {
    score(side, saved === 0 ? `${read} have read it` : `${saved} have saved it`)
    paint(side, n => (n < saved ? 'saved' : n < read ? 'read' : ''))
    return
  }
  const all = side.querySelectorAll('g').length
  const lost = all - survivors.length
  kept[name] = survivors.length
  score(side, lost > 0 ? `${lost} lost` : 'none lost', `${survivors.length} of ${all}`, lost > 0)
  paint(side, n => (survivors.includes(n) ? 'kept' : 'lost'), REVEAL)
}

function paint(side, stateOf, delay = 0) {
  for (const [n, cell] of side.querySelectorAll('g').entries()) {
    for (const shape of cell.children) shape.style.transitionDelay = `${n * delay}ms`
    cell.setAttribute('class', stateOf(n))
  }
}

function score(side, words, number, isLoss = false) {
  const text = document.createElement('span')
  text.textContent = words
  text.classList.toggle('loss', isLoss)
  const strong = document.createElement('strong')
  strong.textContent = number ?? ''
  side.querySelector('.score').replaceChildren(...(number === undefined ? [text] : [strong, ' ', text]))
}

function say(text) {
  document.getElementById('overlap-status').textContent = text
}

async function* linesOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    const lines = (rest + value).split('\n')
    rest = lines.pop()
    for (const line of lines) yield JSON.parse(line)
  }
}
