const MONTH = 60 * 60 * 24 * 30

/**
 * The Unix second from which an item is gone. memcached takes an expiration up to 30 days as seconds from
 * now and a larger one as Unix time; 0 is never, and a negative one or a time gone by is at once.
 */
export function expiresAt(expiration: number, now: number): number {
  if (expiration === 0) return Number.POSITIVE_INFINITY
  if (expiration < 0) return now
  return expiration <= MONTH ? now + expiration : expiration
}
