import type { Examination } from '../../lib/cli/examination.ts'

interface Told {
  readonly general?: Readonly<Record<string, string>>
  readonly settings?: Readonly<Record<string, string>>
  readonly sessions?: Examination['sessions']
  readonly clock?: number
}

/** Of a server that tells this and nothing else: what no server on this machine would say. */
export function examinationOf(told: Told): Examination {
  const { general = {}, settings = {}, sessions = { keys: 0, largest: 0, misplaced: 0 }, clock = 0 } = told
  return {
    statistics: {
      protocol: 'text',
      general: new Map(Object.entries(general)),
      settings: new Map(Object.entries(settings)),
      roundTrip: 1,
    },
    clock,
    sessions,
  }
}
