/** The public face, with a store that seals everything unless it is told otherwise. */
import { type MemcachedStoreOptions, MemcachedStore as Plain } from '../../lib/index.ts'
import { EVERYTHING } from './everything.ts'

export * from '../../lib/index.ts'

export class MemcachedStore extends Plain {
  constructor(options: MemcachedStoreOptions = {}) {
    super({ ...EVERYTHING, ...options })
  }
}
