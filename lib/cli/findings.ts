import type { Examination } from './examination.ts'
import { bytes, count, counted, percent } from './words.ts'

/** Something to do. */
export interface Finding {
  /** Which rule found it, for programs. */
  readonly rule: string
  readonly problem: string
  readonly advice: string
}

/** Of what a limit allows: past this it is near. Chunks are up to a quarter larger than what they hold. */
const NEAR = 0.8

/**
 * The last release that is known to have fixed security bugs: memory corruption and crashes by whoever
 * reaches the server (memcached's wiki, "ReleaseNotes1642" of 2026-05-18 to "ReleaseNotes1645" of July;
 * CVE-2026-47783 and 47784 are of the first).
 */
const LAST_FIX = '1.6.45'

type Settings = ReadonlyMap<string, string>

/** What is wrong with a server, or soon will be. */
export function findings(examination: Examination): Finding[] {
  return apply(RULES, examination)
}

/** What a rule says of what it looks at; null where that is well. */
export type Rule<T> = (seen: T) => Omit<Finding, 'rule'> | null

export function apply<T>(rules: Readonly<Record<string, Rule<T>>>, seen: T): Finding[] {
  return Object.entries(rules).flatMap(([rule, look]) => {
    const found = look(seen)
    return found === null ? [] : [{ rule, ...found }]
  })
}

const RULES: Readonly<Record<string, Rule<Examination>>> = {
  evictions({ statistics: { general } }) {
    const evicted = Number(general.get('evictions') ?? 0)
    if (evicted === 0) return null
    return {
      problem:
        evicted === 1
          ? '1 living item was evicted since it was started: its session is lost'
          : `${count(evicted)} living items were evicted since it was started: their sessions are lost`,
      advice: 'Give it more memory: raise -m.',
    }
  },

  memory({ statistics: { general } }) {
    const used = Number(general.get('bytes') ?? 0)
    const limit = Number(general.get('limit_maxbytes') ?? 0)
    if (limit === 0 || used < limit * NEAR) return null
    return {
      problem: `memory is nearly full: ${percent(used / limit)} of ${bytes(limit)}`,
      advice: 'Raise -m before sessions are evicted.',
    }
  },

  connections({ statistics: { general, settings } }) {
    const open = Number(general.get('curr_connections') ?? 0)
    const limit = Number(settings.get('maxconns') ?? general.get('max_connections') ?? 0)
    const own = Number(general.get('reserved_fds') ?? 0)
    const rejected = Number(general.get('rejected_connections') ?? 0)
    const why = `-c is ${count(limit)}, and memcached keeps ${count(own)} for itself`
    const advice = 'Raise -c: each process of the application needs one connection.'
    if (limit > 0 && open >= (limit - own) * NEAR) {
      return { problem: `the connection limit is near: ${count(open)} are open, ${why}`, advice }
    }
    return rejected === 0
      ? null
      : {
          problem: `${counted(rejected, 'connection')} ${rejected === 1 ? 'was' : 'were'} rejected: ${why}`,
          advice,
        }
  },

  disabledEvictions({ statistics: { settings } }) {
    if (settings.get('evictions') !== 'off') return null
    return {
      problem: '-M is set: once memory is full nobody can log in',
      advice: 'Start it without -M, and with enough memory (-m).',
    }
  },

  cas({ statistics: { settings } }) {
    if (settings.get('cas_enabled') !== 'no') return null
    return {
      problem:
        '-C is set: without CAS nobody can tell whether a session has changed, and the store refuses to work',
      advice: 'Start it without -C.',
    }
  },

  udp({ statistics: { settings } }) {
    const port = settings.get('udpport') ?? '0'
    if (port === '0') return null
    return {
      problem: `UDP is on (port ${port}): with forged senders it floods others`,
      advice: 'Start it with -U 0. The store uses TCP.',
    }
  },

  openToAll({ statistics: { settings } }) {
    // Other servers do not tell where they listen.
    const listens = settings.get('inter')
    if (listens === undefined) return null
    if (asksForPassword(settings) || wantsCertificate(settings) || isLocal(listens, settings)) return null
    return {
      problem: `it is reachable without authentication from outside loopback: it listens on ${
        listens === 'NULL' ? 'every network' : listens
      }`,
      advice:
        'Whoever reaches it reads and writes all sessions. Start it with -l 127.0.0.1, or -S (SASL), or let ' +
        'a firewall or a private network keep others out.',
    }
  },

  version({ statistics: { general } }) {
    const version = general.get('version') ?? ''
    if (!isOlder(version, LAST_FIX)) return null
    return {
      problem: `version ${version} is older than ${LAST_FIX}, which has the last security fixes known here`,
      advice:
        'Update it. Distributions fix old versions under their old number: then the changelog of the package ' +
        'tells, for example CVE-2026-47783 of 1.6.42.',
    }
  },

  itemSize({ statistics: { settings }, sessions }) {
    const limit = Number(settings.get('item_size_max') ?? 0)
    if (sessions instanceof Error || limit === 0 || sessions.largest < limit * NEAR) return null
    return {
      problem: `the largest session takes ${bytes(sessions.largest)} of the ${bytes(limit)} that an item may have`,
      advice: 'Keep less in sessions, or raise -I and the option maxItemSize.',
    }
  },

  misplaced({ sessions }) {
    if (sessions instanceof Error || sessions.misplaced === 0) return null
    const { keys, misplaced } = sessions
    return {
      problem: `${count(misplaced)} of its ${counted(keys, 'session')} ${misplaced === 1 ? 'has its' : 'have their'} home on another server of this list: nobody finds ${misplaced === 1 ? 'it' : 'them'} here`,
      advice:
        'Name all servers, as the application does. If they are, these were left behind when its list changed; they ' +
        'end by themselves. Flush or restart the server before the list changes back.',
    }
  },
}

export const RULE_NAMES: readonly string[] = Object.keys(RULES)

function asksForPassword(settings: Settings): boolean {
  return settings.get('auth_enabled_sasl') === 'yes' || settings.get('auth_enabled_ascii') === 'yes'
}

/** `ssl_verify_mode` 2 and 3 demand a certificate of the client (`memcached -h`). */
function wantsCertificate(settings: Settings): boolean {
  return settings.get('ssl_enabled') === 'yes' && Number(settings.get('ssl_verify_mode')) >= 2
}

/** Through a unix socket, or on addresses of this machine only; `NULL` is every address. */
function isLocal(listens: string, settings: Settings): boolean {
  if ((settings.get('domain_socket') ?? 'NULL') !== 'NULL') return true
  return listens.split(',').every(host => /^(127\.[\d.]+|\[?::1\]?|localhost)(:\d+)?$/.test(host))
}

/** `1.6.9` before `1.6.18`. What is not written so (`1.6.45-embedded`) is another program. */
function isOlder(version: string, than: string): boolean {
  if (!/^\d+(\.\d+)+$/.test(version)) return false
  return version.localeCompare(than, 'en', { numeric: true }) < 0
}
