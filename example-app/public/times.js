/* Times are told as people do: how long ago. Where one is pointed at, it is the visitor's own time. */

const STEPS = [
  [60, 1, 's'],
  [3600, 60, 'min'],
  [86_400, 3600, 'h'],
]

/** The server knows no time zone, and says UTC. */
export function showTimes(root) {
  for (const time of root.querySelectorAll('time[datetime]')) {
    const date = new Date(time.dateTime)
    time.textContent = ago((Date.now() - date) / 1000) ?? date.toLocaleDateString()
    time.title = date.toLocaleString()
  }
}

function ago(seconds) {
  if (seconds < 5) return 'just now'
  const step = STEPS.find(([limit]) => seconds < limit)
  return step && `${Math.floor(seconds / step[1])} ${step[2]} ago`
}
