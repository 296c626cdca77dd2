/** Waits so many milliseconds. By the global timer, looked up at each call: a simulation has its own time. */
export function pause(milliseconds: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, milliseconds))
}

/** Waits before another attempt, the first being 0: for a random part of what doubles, up to the longest. */
export function backOff(attempt: number, longest: number): Promise<void> {
  return pause(backOffTime(attempt, 1, longest))
}

/** The same in milliseconds, for who waits by other means; doubled from `first` on. */
export function backOffTime(attempt: number, first: number, longest: number): number {
  return Math.random() * Math.min(first * 2 ** attempt, longest)
}
