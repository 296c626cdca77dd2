/* The session has ended: the first page says why. Not while the page is being left anyway, for another one. */

let isLeaving = false

addEventListener('beforeunload', () => {
  isLeaving = true
})
addEventListener('pageshow', () => {
  isLeaving = false
})

export function goHome() {
  if (!isLeaving) location.assign('/')
}
