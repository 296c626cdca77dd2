/** What the backing store has, and for how long memcached may go by that. */
export interface Found {
  /** Null for what is no session. */
  readonly text: string | null
  readonly milliseconds: number
}

/** One kind of texts in the backing store, by id: sessions, or the indexes of users. */
export interface Shelf {
  get(id: string): Promise<Found | null>

  /**
   * @param refreshed - what lies there already, where it is the same but for its date.
   * @param onLate - called where it ends after all, when its deadline has passed.
   */
  put(id: string, text: string, refreshed: string | null, onLate: () => void): Promise<void>

  /** Are these the same but for a later date? Then the one can be stored later on. */
  isRefresh(before: string, after: string): boolean

  /** Is the first the same as what is stored, and its date no earlier? */
  isUpToDate(text: string, stored: string): boolean

  destroy(id: string, onLate: () => void): Promise<void>
}
