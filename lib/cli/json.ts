import { summary } from '../cluster/server-stats.ts'
import type { CheckedServer, CheckUp } from './doctor.ts'
import { keepsMemory, softwareOf } from './report.ts'
import { inWords } from './words.ts'

/** A check-up for programs: one line. Its shape is in docs/listing-and-doctor.md. What a server does not tell is null. */
export function inJson({ servers, comparisons, code }: CheckUp): string {
  return `${JSON.stringify({ code, servers: servers.map(describe), findings: comparisons })}\n`
}

function describe({ address, examination, findings, share }: CheckedServer): object {
  if (examination instanceof Error) {
    return { address, reachable: false, error: inWords(examination), findings }
  }
  const { statistics, clock, sessions } = examination
  return {
    ...summary(address, statistics),
    software: softwareOf(statistics),
    clock,
    itemSizeLimit: Number(statistics.settings.get('item_size_max') ?? Number.NaN),
    keepsMemory: keepsMemory(statistics),
    sessions: sessions instanceof Error ? { error: inWords(sessions) } : { ...sessions, share },
    findings,
  }
}
