/** Waits so many milliseconds. By the global timer, looked up at each call: a simulation has its own time. */
export function pause(milliseconds: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, milliseconds))
}

/** Waits before another attempt, the first being 0: for a random part of what doubles, up to the longest. */
export function backOff(attempt: number, longest: number): Promise<void> {
  return pause(Math.random() * doubled(attempt, 1, longest))
}

/** Doubled with each attempt, the first being 0, up to the most. */
export function doubled(attempt: number, first: number, most: number): number {
  return Math.min(first * 2 ** attempt, most)
}
