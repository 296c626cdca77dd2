/** Called once. The error is the store's own, or what the application's own code threw. */
export type Done<T> = (error: Error | null, value?: T) => void
