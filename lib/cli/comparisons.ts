import type { Examination, Examined } from './examination.ts'
import { apply, type Finding, type Rule } from './findings.ts'
import { softwareOf } from './report.ts'
import { bytes, counted, percent } from './words.ts'

/** Seconds: whole ones are told, of clocks that servers look at once a second; and an answer takes its time. */
const CLOCKS_MAY_DIFFER = 5
/** Of its memory: below that a server is not full at all. */
const HARDLY_FULL = 0.1
/** Times the others: the ring does not spread sessions so unevenly. */
const MUCH_FULLER = 1.5
/** So many servers are named; of more it is said how many. */
const MOST_NAMES = 3

/** A server that could be looked at. */
interface Seen {
  readonly address: string
  readonly examination: Examination
}

/** What differs between servers, and should not. */
export function comparisons(examined: readonly Examined[]): Finding[] {
  const seen = examined.filter((one): one is Seen => !(one.examination instanceof Error))
  return seen.length < 2 ? [] : apply(RULES, seen)
}

const RULES: Readonly<Record<string, Rule<readonly Seen[]>>> = {
  versions(seen) {
    return differing(seen, 'they are not the same', softwareOfSeen, {
      advice: 'Run the same version everywhere: what differs by server is hard to find.',
    })
  },

  clocks(seen) {
    const told = seen.filter(({ examination }) => !Number.isNaN(examination.clock))
    if (told.length < 2) return null
    const [first, last] = extremes(told, ({ examination }) => examination.clock)
    const apart = last.examination.clock - first.examination.clock
    if (apart <= CLOCKS_MAY_DIFFER) return null
    return {
      problem: `the clock of ${last.address} is ${counted(apart, 'second')} ahead of that of ${first.address}`,
      advice:
        'Let all of them keep the time (NTP): sessions of more than 30 days end by the clock of their server.',
    }
  },

  fullness(seen) {
    const told = seen.filter(one => !Number.isNaN(fill(one)))
    if (told.length < 2) return null
    const [, fullest] = extremes(told, fill)
    const others = told.filter(one => one !== fullest)
    const mean = others.reduce((sum, one) => sum + fill(one), 0) / others.length
    if (fill(fullest) < HARDLY_FULL || fill(fullest) < MUCH_FULLER * mean) return null
    return {
      problem: `${fullest.address} is much fuller than the others: ${percent(fill(fullest))} of its memory, the others ${percent(mean)}`,
      advice:
        'Each has about the same share of the sessions: does something else use it, do all processes name the same ' +
        'servers, and have all the same -m?',
    }
  },

  itemSizes(seen) {
    return differing(seen, '-I differs', one => sizeIn(one, 'item_size_max'), {
      advice:
        'Start all with the same -I: a session fits, or not, by its server. maxItemSize is the least of them.',
    })
  },

  memory(seen) {
    return differing(seen, '-m differs', one => sizeIn(one, 'maxbytes'), {
      advice: 'Start all with the same -m: each has about the same share of the sessions.',
    })
  },
}

export const RULE_NAMES: readonly string[] = Object.keys(RULES)

function softwareOfSeen({ examination }: Seen): string {
  return softwareOf(examination.statistics)
}

/** In words; undefined where it is not told. */
function sizeIn({ examination }: Seen, setting: string): string | undefined {
  const size = examination.statistics.settings.get(setting)
  return size === undefined ? undefined : bytes(Number(size))
}

/** The share of its memory that items take. */
function fill({ examination }: Seen): number {
  const { general } = examination.statistics
  return Number(general.get('bytes') ?? Number.NaN) / Number(general.get('limit_maxbytes') ?? Number.NaN)
}

/** The least and the greatest. */
function extremes(seen: readonly Seen[], of: (one: Seen) => number): [least: Seen, greatest: Seen] {
  const sorted = [...seen].sort((a, b) => of(a) - of(b))
  return [sorted[0] as Seen, sorted.at(-1) as Seen]
}

/** Says which servers have which value, where they do not all have the same. */
function differing(
  seen: readonly Seen[],
  what: string,
  of: (one: Seen) => string | undefined,
  { advice }: Pick<Finding, 'advice'>,
): Omit<Finding, 'rule'> | null {
  const having = new Map<string, string[]>()
  for (const one of seen) {
    const value = of(one)
    if (value !== undefined) having.set(value, [...(having.get(value) ?? []), one.address])
  }
  if (having.size < 2) return null
  const groups = [...having].map(([value, names]) => `${value} on ${named(names)}`)
  return { problem: `${what}: ${groups.join(', ')}`, advice }
}

function named(names: readonly string[]): string {
  if (names.length <= MOST_NAMES) return names.join(' and ')
  return `${names.slice(0, MOST_NAMES - 1).join(', ')} and ${names.length - MOST_NAMES + 1} others`
}
