// A child process that is asked to do one thing at a time and answers.

import { fork } from 'node:child_process'
import { once } from 'node:events'

export class Child {
  /** @param {string} name @param {import('node:child_process').ChildProcess} process */
  constructor(name, process) {
    this.name = name
    this.process = process
    /** What it said when it was ready. @type {any} */
    this.greeting = undefined
  }

  /**
   * @param {string} name for messages @param {string} file in this folder @param {string[]} args
   * @param {import('node:child_process').ForkOptions} [options]
   */
  static async start(name, file, args = [], options = {}) {
    const child = new Child(name, fork(new URL(file, import.meta.url), args, options))
    child.greeting = await child.#answer()
    return child
  }

  /** @param {string} task @param {object} [options] @returns {Promise<any>} */
  run(task, options) {
    this.process.send({ task, options })
    return this.#answer()
  }

  stop() {
    this.process.kill('SIGKILL')
  }

  async #answer() {
    const settled = new AbortController()
    const message = once(this.process, 'message', settled).then(([{ result, error }]) => {
      if (error !== undefined) throw new Error(`${this.name}: ${error}`)
      return result
    })
    const exit = once(this.process, 'exit', settled).then(([code, signal]) => {
      throw new Error(`${this.name}: its process ended with ${code ?? signal}`)
    })
    try {
      return await Promise.race([message, exit])
    } finally {
      settled.abort()
      await Promise.allSettled([message, exit])
    }
  }
}
