import { goHome } from './leave.js'
import { askForNews } from './place.js'
import { swapLive } from './swap.js'

/* What other browsers change is shown at once: the server tells that there is news, and the page looks. */

const AGAIN_AFTER = 2000
const home = document.getElementById('home')
let source

function listen() {
  source?.close()
  source = new EventSource(`/live?seen=${encodeURIComponent(home.dataset.revision)}`)
  source.addEventListener('changed', async event => {
    home.dataset.revision = event.lastEventId
    await swapLive('/')
  })
  source.addEventListener('trouble', askForNews)
  source.addEventListener('ended', () => {
    source.close()
    goHome()
  })
  source.addEventListener('error', () => {
    // A lost connection comes back by itself; a refusal (503 in an outage) has to be asked about again.
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, AGAIN_AFTER)
  })
}

if (home !== null) {
  listen()
  // A page that nobody sees holds no connection: browsers have few for each site.
  document.addEventListener('visibilitychange', () => (document.hidden ? source.close() : listen()))
}
