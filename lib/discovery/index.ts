export { type DnsOptions, dns } from './dns.ts'
export { type ElastiCacheOptions, elastiCache } from './elasticache.ts'
