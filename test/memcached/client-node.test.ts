import { expect, test } from 'vitest'
import { ClientNode, type MemjsClient, type MemjsResponse } from '../../lib/memcached/client-node.ts'
import { OK, type Reply } from '../../lib/memcached/reply.ts'
import { DELETE, GET } from '../../lib/memcached/request.ts'
import { CasVersion } from '../../lib/memcached/version.ts'
import { asked } from '../support/node.ts'

type Answer = (error: Error | null, response: MemjsResponse | null) => void

const PATIENCE = 60_000

/** A client that answers as a test says, and keeps what it was asked. */
class ScriptedClient implements MemjsClient {
  seq = 0
  readonly requests: Buffer[] = []
  readonly #answer: (done: Answer) => void

  constructor(answer: (done: Answer) => void) {
    this.#answer = answer
  }

  incrSeq(): void {
    this.seq++
  }

  perform(_key: string, request: Buffer, _seq: number, done: Answer): void {
    this.requests.push(request)
    this.#answer(done)
  }
}

function response(header: Partial<MemjsResponse['header']> = {}, val = ''): MemjsResponse {
  return {
    header: { magic: 0x81, opcode: GET, status: OK, cas: Buffer.from('0000000100000002', 'hex'), ...header },
    extras: Buffer.alloc(4),
    val: Buffer.from(val),
  }
}

const get = (client: MemjsClient): Promise<Reply> =>
  asked(done => new ClientNode(client, PATIENCE).get('k', done))

test.each<[string, MemjsResponse, object]>([
  ['a request', response({ magic: 0x80 }), { code: 'ERR_PROTOCOL' }],
  ['a reply to another operation', response({ opcode: DELETE }), { code: 'ERR_PROTOCOL' }],
  ['a status that nobody knows', response({ status: 0x81 }), { code: 'ERR_PROTOCOL' }],
  ['that it is too large', response({ status: 3 }), { code: 'ERR_TOO_LARGE' }],
  ['that memory is full', response({ status: 0x82 }), { message: expect.stringContaining('out of memory') }],
  ['wrong credentials', response({ status: 0x20 }), { message: expect.stringContaining('credentials') }],
])('where memjs gives %s, the operation fails', async (_, given, error) => {
  await expect(get(new ScriptedClient(done => done(null, given)))).rejects.toMatchObject(error)
})

test('where memjs gives an error, or nothing, the server cannot be reached', async () => {
  const cause = new Error('out of order')
  await expect(get(new ScriptedClient(done => done(cause, null)))).rejects.toMatchObject({
    code: 'ERR_UNAVAILABLE',
    status: 503,
    cause,
  })
  await expect(get(new ScriptedClient(done => done(null, null)))).rejects.toMatchObject({
    code: 'ERR_UNAVAILABLE',
  })
})

test('where memjs answers twice, the first counts', async () => {
  const client = new ScriptedClient(done => {
    done(null, response({}, 'first'))
    done(new Error('out of order'), null)
    done(null, response({}, 'second'))
  })
  const given: unknown[] = []
  new ClientNode(client, PATIENCE).get('k', (error, reply) => given.push(error ?? reply?.text))
  expect(given).toEqual(['first'])
})

test('a reply without a version has none, as of a server without CAS', async () => {
  const { version } = await get(new ScriptedClient(done => done(null, response({ cas: Buffer.alloc(8) }))))
  expect(version).toBeNull()
})

test.each([0x7fff_ffff, -5])(
  'where memjs has counted to %d, it begins anew: it could not be sent',
  async seq => {
    const client = new ScriptedClient(done => done(null, response()))
    client.seq = seq
    expect((await get(client)).status).toBe(OK)
    expect(client.seq).toBe(1)
  },
)

test('a delete says which version', async () => {
  const client = new ScriptedClient(done => done(null, response({ opcode: DELETE })))
  const node = new ClientNode(client, PATIENCE)
  await asked(done => node.delete('k', new CasVersion(client, 1, 2), done))
  await asked(done => node.delete('k', null, done))
  expect(client.requests.map(request => [request[1], request.toString('hex', 16, 24)])).toEqual([
    [DELETE, '0000000100000002'],
    [DELETE, '0000000000000000'],
  ])
})

test('once it is closed, nothing is asked of the client', async () => {
  const client = new ScriptedClient(done => done(null, response()))
  const node = new ClientNode(client, PATIENCE)
  await node.close()
  await expect(asked(done => node.get('k', done))).rejects.toMatchObject({ code: 'ERR_CLOSED' })
  expect(client.requests).toEqual([])
})
