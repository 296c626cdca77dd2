/* Copies a command that is on the page. Where the browser allows no copying (http on a phone), it is selected. */
document.addEventListener('click', async event => {
  const button = event.target.closest('[data-copy]')
  if (button === null) return
  const command = document.getElementById(button.dataset.copy)
  const before = button.firstChild.textContent
  try {
    await navigator.clipboard.writeText(command.textContent)
    button.firstChild.textContent = 'Copied'
  } catch {
    getSelection().selectAllChildren(command)
    button.firstChild.textContent = 'Selected'
  }
  setTimeout(() => {
    button.firstChild.textContent = before
  }, 2000)
})
