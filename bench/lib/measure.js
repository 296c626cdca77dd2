// How a loop of operations is measured, and what is said of several rounds of it.

/**
 * @typedef {object} Measured
 * @property {number} cpu µs of this process (user + system, all its threads) per operation
 * @property {number} perSecond operations
 * @property {number} empty operations that gave nothing
 * @property {number} failed operations that gave an error
 * @property {number[]} latencies ms, of one operation in `every`
 */

/**
 * Keeps `inFlight` operations going until `operations` are done.
 * @param {(slot: number, done: (error?: unknown, value?: unknown) => void) => void} start
 * @param {{ operations: number, inFlight: number, every?: number }} options `every`: the clock itself
 *   costs something, so one operation in 17 is timed. An odd number shares no factor with the usual
 *   numbers in flight, so that every place in a batch is seen.
 * @returns {Promise<Measured>}
 */
export function measure(start, { operations, inFlight, every = 17 }) {
  return new Promise(resolve => {
    /** @type {number[]} */
    const latencies = []
    const slots = Math.min(inFlight, operations)
    const begun = new Float64Array(slots)
    let started = 0
    let ended = 0
    let empty = 0
    let failed = 0

    // One callback for each slot, made before the clock runs.
    const callbacks = Array.from(
      { length: slots },
      (_, slot) => (/** @type {any} */ error, /** @type {any} */ value) => {
        if (error) failed++
        else if (value === undefined || value === null) empty++
        if (begun[slot] !== 0) latencies.push(performance.now() - begun[slot])
        ended++
        if (started < operations) next(slot)
        else if (ended === operations) finish()
      },
    )

    /** @param {number} slot */
    const next = slot => {
      begun[slot] = started++ % every === 0 ? performance.now() : 0
      start(slot, callbacks[slot])
    }

    const finish = () => {
      const { user, system } = process.cpuUsage(cpu)
      const seconds = (performance.now() - clock) / 1000
      resolve({
        cpu: (user + system) / operations,
        perSecond: operations / seconds,
        empty,
        failed,
        latencies,
      })
    }

    const clock = performance.now()
    const cpu = process.cpuUsage()
    for (let slot = 0; slot < slots; slot++) next(slot)
  })
}

/** @param {Iterable<number>} values @param {number} part 0 to 1 @returns {number} */
export function quantile(values, part) {
  const sorted = [...values].sort((a, b) => a - b)
  if (sorted.length === 0) return Number.NaN
  const at = (sorted.length - 1) * part
  const low = /** @type {number} */ (sorted[Math.floor(at)])
  const high = /** @type {number} */ (sorted[Math.ceil(at)])
  return low + (high - low) * (at - Math.floor(at))
}

/** @param {Iterable<number>} values @returns {number} */
export const median = values => quantile(values, 0.5)

/** The median of a round's value over the other's in the same round: what slows both, drops out. */
export function medianRatio(/** @type {number[]} */ values, /** @type {number[]} */ others) {
  return median(values.map((value, round) => value / /** @type {number} */ (others[round])))
}
