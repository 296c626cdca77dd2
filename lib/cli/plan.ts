import { chunkFor, imbalance, itemBytes, PAGE, pageBytes, tableBytes } from './capacity.ts'

const MIB = 1024 * 1024
/** Growth factors that reach the largest items in memcached's 63 classes; the default first. */
const FACTORS = [1.25, 1.2, 1.15]
/** Another factor must save so much. */
const WORTHWHILE = 0.05
/** memcached's own defaults. */
const DEFAULT_CONNECTIONS = 1024
const DEFAULT_ITEM = MIB
/** What is not a session: tombstones, indexes, locks, and those that are over and not yet removed. */
const HEADROOM = 1.2
/** A few pages for classes that hold little. */
const SPARE = 64 * MIB
/** Requests per second that one Node process is given: what it does with Express where most of them write (bench/RESULTS.md). */
const PER_PROCESS = 4000
/** Operations per second that one memcached is given, with its four threads: far below what it does. */
const PER_SERVER = 100_000
/** A read, and every other request a write. */
const OPERATIONS = 1.5
const LEAST_SERVERS = 3

export interface Wishes {
  readonly sessions: number
  /** Of the stored text of one. */
  readonly bytes: number
  /** Per second. */
  readonly requests: number
  /** Bytes that a server may take. */
  readonly memory: number
  /** Undefined: as many as it takes. */
  readonly servers?: number | undefined
  /** Node processes. Undefined: as many as the requests take. */
  readonly processes?: number | undefined
  /** Bytes of prefix and id. */
  readonly keyLength: number
}

export interface Plan {
  readonly servers: number
  readonly processes: number
  /** Bytes of an item, and of the chunk that it takes. */
  readonly item: number
  readonly chunk: number
  /** Bytes that the sessions take on all servers together: pages, and the tables of keys. */
  readonly total: number
  /** Sessions of the fullest server, as a rule. */
  readonly most: number
  /** Bytes of a server's process: `limit`, and its table of keys. */
  readonly resident: number
  /** memcached's flags: `-m` in MiB, `-c`, `-f`, `-I` in bytes. */
  readonly limit: number
  readonly connections: number
  readonly factor: number
  readonly largest: number
  /** Of all visitors, whom one lost server affects. */
  readonly affected: number
}

/** What it takes to keep so many sessions. */
export function plan(wishes: Wishes): Plan {
  const { sessions, bytes, requests, memory, keyLength } = wishes
  const item = itemBytes(keyLength, bytes)
  const factor = bestFactor(item)
  const chunk = chunkFor(item, factor)
  const busy = Math.ceil((requests * OPERATIONS) / PER_SERVER)
  let servers = wishes.servers ?? Math.max(LEAST_SERVERS, busy)
  while (wishes.servers === undefined && residentOf(sessions, servers, chunk) > memory) {
    servers = Math.ceil(servers * 1.02)
  }
  const processes = wishes.processes ?? Math.max(2, Math.ceil(requests / PER_PROCESS))
  const most = mostOf(sessions, servers)
  return {
    servers,
    processes,
    item,
    chunk,
    total: pageBytes(sessions, chunk) + servers * tableBytes(sessions / servers),
    most,
    resident: residentOf(sessions, servers, chunk),
    limit: limitOf(most, chunk) / MIB,
    // At a deploy the old processes are there as well; and somebody may want to look.
    connections: Math.max(DEFAULT_CONNECTIONS, 2 * processes + 100),
    factor,
    largest: Math.max(DEFAULT_ITEM, 2 ** Math.ceil(Math.log2(2 * item))),
    affected: 1 / servers,
  }
}

function bestFactor(item: number): number {
  const [usual = 1.25, ...others] = FACTORS
  const best = others.reduce((a, b) => (chunkFor(item, b) < chunkFor(item, a) ? b : a))
  return chunkFor(item, best) < chunkFor(item, usual) * (1 - WORTHWHILE) ? best : usual
}

function mostOf(sessions: number, servers: number): number {
  return Math.min(sessions, Math.ceil((sessions / servers) * imbalance(servers)))
}

/** Whole MiB, in bytes. */
function limitOf(sessions: number, chunk: number): number {
  return Math.ceil((pageBytes(sessions, chunk) * HEADROOM + SPARE) / PAGE) * PAGE
}

function residentOf(sessions: number, servers: number, chunk: number): number {
  const most = mostOf(sessions, servers)
  return limitOf(most, chunk) + tableBytes(most * HEADROOM)
}
