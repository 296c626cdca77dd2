import { describe, expect, inject, test } from 'vitest'
import { fewOrMany } from '../support/few-or-many.ts'
import { edits, kept, overlapContract } from './overlap-contract.ts'
import { ScriptedApp } from './scripted-app.ts'

const servers = inject('memcached')

describe.skipIf(servers === null)('on memcached', () => {
  overlapContract(() => ({ servers: servers as string }))
})

test('the overlap is real: the MemoryStore of express-session loses nearly all of it', async () => {
  const app = await ScriptedApp.start({ store: 'memory' })
  const rounds = fewOrMany(1, 10)
  expect(await kept([app], edits, rounds)).toEqual({ keys: rounds, nestedKeys: rounds, deletions: rounds })
  await app[Symbol.asyncDispose]()
})
