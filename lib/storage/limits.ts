/** memcached refuses longer keys, and closes the connection (protocol.txt, "Keys"). */
export const MAX_KEY = 250

/**
 * What memcached adds to key and value: a header of 48 bytes, 8 for the CAS token, 4 for flags, and
 * three of line ends (memcached 1.6, items.c, `item_make_header`).
 */
export const ITEM_OVERHEAD = 63

/** More than that, a key and a seal take together. */
export const MAX_OVERHEAD = 352

/**
 * A tombstone takes some 80 bytes and its key, 63 of them memcached's own ({@link ITEM_OVERHEAD}); another build
 * may add more or less. What an express-session needs is above this: its cookie alone has 70 bytes.
 */
export const MAX_TOMBSTONE = 128
