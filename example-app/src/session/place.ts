import { readItem } from '../memcached/ask.ts'
import type { Servers } from '../servers.ts'
import { KEY_PREFIX } from '../store.ts'
import type { SignedIn } from './data.ts'

/** Where a session is, as memcached itself says. */
export interface Place {
  readonly key: string
  /** The servers that hold it, asked one by one. */
  readonly holders: readonly string[]
  /** As it is stored. */
  readonly text: string
  readonly bytes: number
  /** Undefined for a session without a date. */
  readonly life: Life | undefined
}

/** Both in milliseconds. */
export interface Life {
  readonly left: number
  /** What a visit gives it again. */
  readonly whole: number
}

export async function findPlace(
  { servers }: { readonly servers: Servers | undefined },
  sid: string,
  session: SignedIn,
): Promise<Place> {
  const key = KEY_PREFIX + sid
  const items = await Promise.all(
    (servers?.addresses ?? []).map(async address => {
      const item = await readItem(address, key).catch(() => null)
      return { address, item }
    }),
  )
  const held = items.flatMap(({ address, item }) => (item === null ? [] : [{ address, item }]))
  const text = held[0]?.item.text ?? JSON.stringify(session)
  return {
    key,
    holders: held.map(({ address }) => address),
    text,
    bytes: held[0]?.item.bytes ?? Buffer.byteLength(text),
    life: lifeIn(text),
  }
}

/** The stored cookie's date is when memcached lets go of the session (the store adds `touchAfter` to that). */
function lifeIn(text: string): Life | undefined {
  const { cookie } = JSON.parse(text) as { cookie?: { expires?: string; originalMaxAge?: number } }
  const left = Date.parse(cookie?.expires ?? '') - Date.now()
  const whole = cookie?.originalMaxAge ?? 0
  return Number.isNaN(left) || whole <= 0 ? undefined : { left: Math.max(left, 0), whole }
}
