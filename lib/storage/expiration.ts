/** memcached reads an expiration over 30 days as Unix time (protocol.txt, "Expiration times"). */
const MAX_RELATIVE = 60 * 60 * 24 * 30
/** The field is 32 bits wide. */
const MAX_ABSOLUTE = 0xffff_ffff
const NEVER = 0

/**
 * memcached's expiration field for something that lives so many milliseconds. Rounded up and a second more,
 * since memcached's clock has whole seconds and an item set with 1 may live a moment only.
 */
export function expiration(milliseconds: number): number {
  const seconds = Math.max(Math.ceil(milliseconds / 1000), 0) + 1
  if (seconds <= MAX_RELATIVE) return seconds
  const absolute = Math.ceil((Date.now() + milliseconds) / 1000) + 1
  return absolute <= MAX_ABSOLUTE ? absolute : NEVER
}
