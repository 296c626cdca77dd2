import type { MemcachedStoreOptions } from '../../lib/index.ts'
import { EVERYTHING } from '../sealing/everything.ts'

/** For the stores of child processes, which import what they use by themselves: see `vitest.sealed.config.ts`. */
export const SEALING: MemcachedStoreOptions = process.env.TEST_SEALED === '1' ? EVERYTHING : {}
