// Contenders in processes of their own, asked in turn: round after round, each round in another order,
// so that what slows the machine for a while slows all of them alike.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { contenders } from '../contenders.js'

/** @typedef {import('./measure.js').Measured} Measured */

export class Worker {
  /** @param {string} name @param {import('node:child_process').ChildProcess} child */
  constructor(name, child) {
    this.name = name
    this.child = child
  }

  /** @param {string} name @param {import('./servers.js').Servers} servers */
  static async start(name, servers) {
    const { server } = contenders[name]
    const port = server === null ? 0 : servers[server]?.port
    const child = fork(new URL('worker.js', import.meta.url), [name, String(port)])
    const worker = new Worker(name, child)
    await worker.#answer()
    return worker
  }

  /** @param {string} task @param {object} options @returns {Promise<any>} */
  run(task, options) {
    this.child.send({ task, options })
    return this.#answer()
  }

  stop() {
    this.child.kill()
  }

  async #answer() {
    const gone = new AbortController()
    const exit = once(this.child, 'exit', { signal: gone.signal }).then(([code]) => {
      throw new Error(`${this.name}: its process ended with ${code}`)
    })
    exit.catch(() => {})
    try {
      const [{ result, error }] = await Promise.race([once(this.child, 'message', gone), exit])
      if (error !== undefined) throw new Error(`${this.name}: ${error}`)
      return result
    } finally {
      gone.abort()
    }
  }
}

/**
 * Runs a task on all workers, `rounds` times after one that only warms up.
 * @param {Worker[]} workers @param {string} task
 * @param {{ operations: number, inFlight: number, rounds: number }} options
 * @returns {Promise<Record<string, Measured[]>>} by contender; those that cannot do the task are left out
 */
export async function alternate(workers, task, { rounds, ...options }) {
  /** @type {Record<string, Measured[]>} */
  const results = {}
  for (let round = -1; round < rounds; round++) {
    for (let i = 0; i < workers.length; i++) {
      const worker = workers[(i + round + 1) % workers.length]
      const measured = await worker.run(task, options)
      if (measured === null || round < 0) continue
      results[worker.name] ??= []
      results[worker.name].push(measured)
    }
  }
  return results
}

/** Those whose server is there. @param {string[]} names @param {import('./servers.js').Servers} servers */
export function present(names, servers) {
  return names.filter(name => {
    const { server } = contenders[name]
    return server === null || servers[server] !== undefined
  })
}

/** @param {string[]} names @param {import('./servers.js').Servers} servers */
export function startWorkers(names, servers) {
  return Promise.all(names.map(name => Worker.start(name, servers)))
}

/** @param {Worker[]} workers */
export function stopWorkers(workers) {
  for (const worker of workers) worker.stop()
}
