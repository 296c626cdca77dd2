export { EmbeddedMemcached, type EmbeddedMemcachedOptions } from './embedded-memcached.ts'
