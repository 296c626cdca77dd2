// Contenders in processes of their own, asked in turn: round after round, each round in another order,
// so that what slows the machine for a while slows all of them alike.

import { contenders } from '../contenders.js'
import { Child } from './child.js'

/** @typedef {import('./measure.js').Measured} Measured */
/** @typedef {import('./servers.js').Servers} Servers */

/** Those whose server is there. @param {string[]} names @param {Servers} servers */
export function present(names, servers) {
  return names.filter(name => {
    const server = contenders[name]?.server
    return server === null || server === undefined || servers[server] !== undefined
  })
}

/**
 * Starts each in a process of its own.
 * @param {string} file in this folder @param {string[]} names @param {Servers} servers
 */
export function start(file, names, servers) {
  return Promise.all(
    present(names, servers).map(name => {
      const server = contenders[name]?.server ?? null
      return Child.start(name, file, [name, `${server === null ? 0 : servers[server]?.port}`])
    }),
  )
}

/** @param {Child[]} children */
export function stop(children) {
  for (const child of children) child.stop()
}

/**
 * Does something with all, `rounds` times after one that only warms up.
 * @template T
 * @param {Child[]} children @param {number} rounds @param {(child: Child) => Promise<T | null>} measure
 * @returns {Promise<Record<string, T[]>>} by contender; null for one leaves it out
 */
export async function alternate(children, rounds, measure) {
  /** @type {Record<string, T[]>} */
  const results = Object.fromEntries(children.map(({ name }) => [name, []]))
  for (let round = -1; round < rounds; round++) {
    for (let i = 0; i < children.length; i++) {
      const child = children[(i + round + 1) % children.length]
      const measured = await measure(child)
      if (measured !== null && round >= 0) results[child.name].push(measured)
    }
  }
  return Object.fromEntries(Object.entries(results).filter(([, rounds]) => rounds.length > 0))
}
