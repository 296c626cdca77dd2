import type {} from 'vitest'
import type { TestProject } from 'vitest/node'
import { hasMemcached, Memcached } from './memcached.ts'
import { buildPrograms, removePrograms } from './programs.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** `host:port` of a real memcached, or null where there is none. */
    memcached: string | null
    /** Where the programs lie that run in processes of their own. */
    programs: string
  }
}

/** What all files share: a real memcached, and the programs. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const [programs, endMemcached] = await Promise.all([buildPrograms(), provideMemcached(project)])
  project.provide('programs', programs)
  return async () => {
    await Promise.all([removePrograms(programs), endMemcached()])
  }
}

/** One real memcached for all files that need no fault: each uses a prefix of its own. */
async function provideMemcached(project: TestProject): Promise<() => Promise<void>> {
  const nothing = async (): Promise<void> => {}
  const given = process.env.MEMCACHED_SERVERS
  if (given !== undefined && given !== '') {
    // Tests that read the variable would meet it too; they set their own.
    delete process.env.MEMCACHED_SERVERS
    project.provide('memcached', given)
    return nothing
  }
  if (hasMemcached) {
    const server = await Memcached.start('-m', '256')
    project.provide('memcached', server.address)
    return () => server.kill()
  }
  const advice =
    'No memcached on this machine: tests against a real one are skipped (apt-get install memcached).'
  if (process.env.REQUIRE_MEMCACHED === '1') throw new Error(advice)
  console.warn(advice)
  project.provide('memcached', null)
  return nothing
}
