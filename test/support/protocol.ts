/** Do the servers of these tests understand text only? `MEMCACHED_FLAGS='-B ascii'` starts them so. */
export const isText: boolean = process.env.MEMCACHED_FLAGS?.includes('ascii') ?? false

/** Text tells no version of what was written: who writes over that looks first, as does the first write of a connection. */
export const LOOK: { readonly get?: 1 } = isText ? { get: 1 } : {}
