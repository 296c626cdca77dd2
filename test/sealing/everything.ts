import type { MemcachedStoreOptions } from '../../lib/index.ts'

export const KEY = 'a secret of 32 characters or more'
export const OTHER_KEY = 'another secret that is long enough'

type Sealing = Pick<MemcachedStoreOptions, 'encryptionKeys' | 'compress' | 'hashKeys'>

/** All that seals, for sessions of any size. */
export const EVERYTHING: Sealing = {
  encryptionKeys: [KEY],
  compress: { threshold: 0 },
  hashKeys: true,
}
