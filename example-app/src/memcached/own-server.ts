/** A memcached that this app started, and may therefore torment. */
export interface OwnServer {
  readonly address: string
  /** Ends it: what it held is gone. */
  stop(): Promise<void>
  /** Starts it again on the same port, empty; nothing where it runs. */
  bringBack(): Promise<void>
}
