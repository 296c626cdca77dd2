/** `add` wants no item there (else EXISTS), `replace` wants one (else NOT_FOUND), `set` wants nothing. */
export type WriteMode = 'set' | 'add' | 'replace'

/** What is to lie under a key. */
export interface Item {
  /** Printable ASCII, at most 250 characters. */
  readonly key: string
  readonly value: string | Buffer
  readonly flags: number
  /** memcached's field: relative seconds up to 30 days, else Unix time; 0 is never. */
  readonly expiration: number
}
