/* On the page of an outage: asks whether sessions can be read again, and then shows them. */

const AGAIN_AFTER = 1000

async function wait() {
  const { well } = await fetch('/health')
    .then(response => response.json())
    .catch(() => ({ well: false }))
  if (well) location.replace('/')
  else setTimeout(wait, AGAIN_AFTER)
}

if (document.querySelector('[data-status="503"]') !== null) setTimeout(wait, AGAIN_AFTER)
