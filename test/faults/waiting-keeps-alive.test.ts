import { expect, test } from 'vitest'
import { behave, MisbehavingServer } from '../support/misbehaving-server.ts'
import { runChild } from './run-child.ts'

test('a request that waits for a connection keeps the process alive, and nothing does afterwards', async () => {
  const behaved = behave()
  await using server = await MisbehavingServer.start((request, socket) => {
    if (request.key.endsWith('second') || server.connections > 1) socket.destroy()
    else behaved(request, socket)
  })
  const output = await runChild('waiting-keeps-alive.child.ts', server.address)
  expect(JSON.parse(output)).toEqual(['ok', 'ERR_UNAVAILABLE'])
})
