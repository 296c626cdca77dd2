/* A code counts its seconds down, and goes when it is worth nothing any more. */
class JoinCode extends HTMLElement {
  #timer

  connectedCallback() {
    const end = performance.now() + Number(this.dataset.life)
    const tick = () => {
      const left = Math.ceil((end - performance.now()) / 1000)
      if (left > 0)
        this.querySelector('.left').textContent = `and ${left} ${left === 1 ? 'second' : 'seconds'}`
      else this.#expire()
    }
    this.#timer = setInterval(tick, 1000)
    tick()
  }

  disconnectedCallback() {
    clearInterval(this.#timer)
  }

  #expire() {
    clearInterval(this.#timer)
    const text = document.createElement('p')
    text.className = 'hint'
    text.textContent = 'The code has expired. Its minute is over.'
    this.replaceChildren(text)
  }
}

customElements.define('join-code', JoinCode)
