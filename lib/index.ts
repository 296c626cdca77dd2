export { MemcachedStoreError, type MemcachedStoreErrorCode } from './errors.ts'
