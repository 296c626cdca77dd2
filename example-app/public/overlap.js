/* The overlap test: reads how it goes on, line by line, and draws it. */

document.addEventListener('submit', async event => {
  if (event.target.id !== 'overlap-form') return
  event.preventDefault()
  const button = event.target.querySelector('button')
  button.disabled = true
  say('Running …')
  for (const cell of document.querySelectorAll('#overlap rect')) cell.setAttribute('class', '')
  for (const words of document.querySelectorAll('.side-words')) words.textContent = '…'
  try {
    const response = await fetch(event.target.action, {
      method: 'POST',
      headers: { accept: 'application/x-ndjson' },
    })
    const kept = {}
    for await (const news of linesOf(response)) show(news, kept)
    if ('ordinary' in kept)
      say(`This store kept ${kept.here} updates, the MemoryStore ${kept.ordinary}. Both were really run.`)
  } catch {
    say('That did not work; try again.')
  } finally {
    button.disabled = false
    button.focus()
  }
})

function show({ problem, side, read, saved, survivors }, kept) {
  if (problem !== undefined) {
    say(problem)
    return
  }
  const part = document.getElementById(`overlap-${side}`)
  const cells = [...part.querySelectorAll('rect')]
  const words = part.querySelector('.side-words')
  if (survivors === undefined) {
    words.textContent = saved === 0 ? `${read} have read it` : `${saved} have saved it`
    paint(cells, n => (n < saved ? 'saved' : n < read ? 'read' : ''))
    return
  }
  kept[side] = survivors.length
  words.textContent = `${survivors.length} of ${cells.length} survived`
  paint(cells, n => (survivors.includes(n) ? 'kept' : 'lost'))
  part
    .querySelector('svg')
    .setAttribute('aria-label', `${part.querySelector('h3').textContent}: ${words.textContent}`)
}

function paint(cells, stateOf) {
  for (const [n, cell] of cells.entries()) cell.setAttribute('class', stateOf(n))
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
