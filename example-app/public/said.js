/* What is to be said on the next page: this one goes. */

const KEY = 'said'

/** For as long as it is news. */
const NEWS = 5000

export function sayNext(text) {
  sessionStorage.setItem(KEY, text)
  setTimeout(() => sessionStorage.removeItem(KEY), NEWS)
}

const text = sessionStorage.getItem(KEY)
if (text !== null) {
  sessionStorage.removeItem(KEY)
  const words = document.createElement('p')
  words.className = 'notice'
  words.textContent = text
  document.getElementById('said').append(words)
}
