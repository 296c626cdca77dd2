export type { ServerStats, UnreachableServer } from './cluster/server-stats.ts'
export { MemcachedStoreError, type MemcachedStoreErrorCode } from './errors.ts'
export type { ConflictOutcome, StoreEvents } from './events.ts'
export type { ListedSession } from './listing/list.ts'
export type { ExclusiveMiddleware, SessionRequest } from './locks/exclusive.ts'
export type { LockOptions } from './locks/lock-options.ts'
export type { Lock } from './locks/locks.ts'
export type { MemjsClient, MemjsResponse } from './memcached/client-node.ts'
export { type Callback, type IdentifiedSession, MemcachedStore, type StoreStats } from './memcached-store.ts'
export type { Counts } from './operations/counts.ts'
export type { Updater as Change } from './operations/update.ts'
export type {
  CompressOptions,
  ConflictResolver,
  MemcachedStoreOptions,
  Servers,
  ServersFunction,
  UserOf,
} from './options.ts'
export type { Serializer } from './session/codec.ts'
export type { TtlFunction } from './session/expiry.ts'
export type { OperationName, OperationTrace } from './tracing.ts'
export type { DestroyAllOptions, UserSession } from './users/users.ts'
