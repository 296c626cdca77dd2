import { expect, test } from 'vitest'
import { withStore } from '../support/lab.ts'
import { MisbehavingServer } from '../support/misbehaving-server.ts'
import { until } from '../support/until.ts'

test('a server that is down is asked again, ever more rarely, and found when it is back', async () => {
  await using server = await MisbehavingServer.start()
  const times: number[] = []
  server.greet = socket => {
    times.push(performance.now())
    socket.destroy()
  }
  await using watched = withStore(server.address, { protocol: 'binary' })
  const { operations } = watched
  await operations.burst(20)
  // Each wait is a random part, from half to whole, of 100, 200, 400 and 800 ms.
  await until(() => times.length === 5)
  const waits = times.slice(1).map((time, index) => time - (times[index] as number))
  for (const [index, wait] of waits.entries()) expect(wait).toBeGreaterThan(50 * 2 ** index - 5)
  // Whatever is asked in between costs the server nothing.
  await operations.burst(100)
  expect(times).toHaveLength(5)
  await operations.settled('ERR_UNAVAILABLE')
  server.greet = () => {}
  await operations.recovered()
})
