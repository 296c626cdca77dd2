/** Waits so many milliseconds. By the global timer, looked up at each call: a simulation has its own time. */
export function pause(milliseconds: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, milliseconds))
}
