import type { Sessions } from '../storage/storage.ts'

/** Records in memcached, as one with a backing store behind uses them. */
export type Front = Pick<Sessions, 'read' | 'write' | 'writeTombstone' | 'check' | 'addressOf'>
