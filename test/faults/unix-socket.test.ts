import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { fewOrMany } from '../support/few-or-many.ts'
import { withStore } from '../support/lab.ts'
import { hasMemcached } from '../support/memcached.ts'
import { Daemon } from './daemon.ts'

describe.skipIf(!hasMemcached)('unix socket', () => {
  test.each(fewOrMany(['unix:'], ['', 'unix:', 'memcached://']))('%s/path/to.sock', async scheme => {
    const folder = await mkdtemp(join(tmpdir(), 'memcached-'))
    const path = join(folder, 'to.sock')
    const watched = withStore(`${scheme}${path}`, { timeout: 2000 })
    const { operations } = watched
    try {
      // Not there yet.
      const outcomes = await operations.burst(100)
      await operations.settled('ERR_UNAVAILABLE')
      expect(outcomes.filter(({ error }) => error === null)).toEqual([])

      const daemon = await Daemon.start(['-s', path, '-a', '0777'], path)
      await operations.recovered()

      // Gone in the midst of work, and back.
      const burst = operations.burst(100)
      await daemon.kill()
      await burst
      await operations.settled()
      const again = await Daemon.start(['-s', path, '-a', '0777'], path)
      await operations.recovered()

      // Started again at once.
      await again.kill()
      const reads = Array.from({ length: 20 }, (_, index) => operations.get(`burst-${index}`))
      await using _last = await Daemon.start(['-s', path, '-a', '0777'], path)
      expect((await Promise.all(reads)).filter(({ error }) => error !== null)).toEqual([])
      await operations.settled()
    } finally {
      await watched[Symbol.asyncDispose]()
      await rm(folder, { recursive: true, force: true })
    }
  })
})
