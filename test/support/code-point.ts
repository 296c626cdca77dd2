import fc from 'fast-check'

const SURROGATES = 0x800
const LAST = 0x10ffff - SURROGATES

/** Any character of Unicode, as `unit: 'binary'` gives it; that one takes a second to list them all first. */
export const codePoint: fc.Arbitrary<string> = fc
  .nat(LAST)
  .map(number => String.fromCodePoint(number < 0xd800 ? number : number + SURROGATES))
