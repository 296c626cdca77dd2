/**
 * How exactly a life can be compared that a live cookie was given, for `toBeCloseTo`: to 50 ms. Its setter reads
 * the clock twice (express-session, session/cookie.js, `maxAge` and `expires`), and the clock may tick in between.
 */
export const DRIFTED = -2
