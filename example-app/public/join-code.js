/* A code counts its seconds down, and goes when it is used or its time is over. */
class JoinCode extends HTMLElement {
  #timer
  #observer

  connectedCallback() {
    const end = performance.now() + Number(this.dataset.life)
    const tick = () => {
      const left = Math.ceil((end - performance.now()) / 1000)
      if (left > 0)
        this.querySelector('.left').textContent = `and ${left} ${left === 1 ? 'second' : 'seconds'}`
      else this.#end('The code has expired. Its minute is over.')
    }
    const before = guests()
    this.#observer = new MutationObserver(() => {
      if (guests() > before) this.#end('Another browser has joined. The code is used up.')
    })
    this.#observer.observe(document.getElementById('browsers'), { childList: true, subtree: true })
    this.#timer = setInterval(tick, 1000)
    tick()
  }

  disconnectedCallback() {
    clearInterval(this.#timer)
    this.#observer.disconnect()
  }

  #end(message) {
    this.disconnectedCallback()
    const text = document.createElement('p')
    text.className = 'hint'
    text.setAttribute('role', 'status')
    text.textContent = message
    this.replaceChildren(text)
  }
}

const guests = () => document.querySelectorAll('.login.here li').length

customElements.define('join-code', JoinCode)
