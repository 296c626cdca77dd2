import { hash } from 'node:crypto'
import { MemcachedStoreError } from '../errors.ts'

/** More than there are servers; a point has 32 bits, and a double holds both. */
const OWNERS = 2 ** 16

/**
 * Which server a key lives on: libmemcached's `ketama_weighted` with equal weights, so that clients in
 * other languages (pylibmc, PHP's memcached, anything on libmemcached) find the same server.
 *
 * Each server owns points on a circle of 32-bit numbers; a key belongs to the owner of the first point
 * at or after the key's hash. A server that comes or goes moves only its own share of the keys, and the
 * order of the list does not matter.
 */
export class Ring {
  /** Ascending, none for one server; `#owners` has the index of the server at the same place. */
  readonly #points: Uint32Array
  readonly #owners: Uint16Array

  /**
   * @param addresses - as people write them: `host:port`, `[::1]:port` or the path of a unix socket;
   *   a missing port is 11211. {@link home} answers with an index into this list.
   * @throws TypeError if there is no address, or one twice.
   * @throws {@link MemcachedStoreError} `ERR_NOT_SUPPORTED` if there are several and this Node has no md5.
   */
  constructor(addresses: readonly string[]) {
    const labels = addresses.map(labelOf)
    if (labels.length === 0) throw new TypeError('Expected `servers` to name at least one server, got none')
    const twice = addresses.find((_, index) => labels.indexOf(labels[index] as string) < index)
    if (twice !== undefined) {
      throw new TypeError(`Expected \`servers\` to name each server once, got \`${twice}\` twice`)
    }
    // Two servers may share a point; then the label decides, whatever the order of the list.
    const ranked = [...labels.keys()].sort((a, b) => ((labels[a] as string) < (labels[b] as string) ? -1 : 1))
    const points = labels.length === 1 ? new Float64Array() : pointsOf(ranked.map(at => labels[at] as string))
    this.#points = Uint32Array.from(points, point => point / OWNERS)
    this.#owners = Uint16Array.from(points, point => ranked[point % OWNERS] as number)
  }

  /** The server of this key. */
  home(key: string): number {
    return this.#points.length === 0 ? 0 : (this.#owners[this.#find(key)] as number)
  }

  /** Place of the first point at or after the key's hash; past the last one the circle begins again. */
  #find(key: string): number {
    const points = this.#points
    const wanted = pointIn(md5(key), 0)
    let low = 0
    let high = points.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((points[middle] as number) < wanted) low = middle + 1
      else high = middle
    }
    return low === points.length ? 0 : low
  }
}

/**
 * What libmemcached 1.0.18 hashes for a server: `host:port`, but the bare host on port 11211, an IPv6
 * address without its brackets (as pylibmc hands it over), and a unix socket as `path:0`.
 */
function labelOf(address: string): string {
  if (address.startsWith('/')) return `${address}:0`
  return address.replace(/:11211$/, '').replace(/^\[(.*)\]/, '$1')
}

/** All points of all servers, ascending, each as `point * OWNERS + owner`: numbers sort without a comparator. */
function pointsOf(labels: readonly string[]): Float64Array {
  const digests = digestsPerServer(labels.length)
  const points = new Float64Array(labels.length * digests * 4)
  let count = 0
  for (const [owner, label] of labels.entries()) {
    for (let i = 0; i < digests; i++) {
      const digest = firstMd5(`${label}-${i}`)
      for (let at = 0; at < 16; at += 4) points[count++] = pointIn(digest, at) * OWNERS + owner
    }
  }
  return points.sort()
}

/**
 * 40 by definition. But libmemcached computes `1 / servers * 160 / 4 * servers` in 32-bit floats and
 * rounds down, which makes it 39 for 25, 47, 50, 55 and some more servers; so we must, too.
 */
function digestsPerServer(servers: number): number {
  const { fround } = Math
  const share = fround(1 / servers)
  return Math.floor(fround(fround(fround(share * 160) / 4) * servers))
}

function firstMd5(text: string): string {
  try {
    return md5(text)
  } catch (cause) {
    const message = 'Several `servers` need md5 for placing keys, and this Node refuses it (FIPS mode?)'
    throw new MemcachedStoreError('ERR_NOT_SUPPORTED', message, { cause })
  }
}

/** One character per byte: a third of the time that a Buffer takes. */
function md5(text: string): string {
  return hash('md5', text, 'binary')
}

/** Four bytes of a digest, little-endian. */
function pointIn(digest: string, at: number): number {
  return (
    (digest.charCodeAt(at) |
      (digest.charCodeAt(at + 1) << 8) |
      (digest.charCodeAt(at + 2) << 16) |
      (digest.charCodeAt(at + 3) << 24)) >>>
    0
  )
}
