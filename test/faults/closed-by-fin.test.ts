import { describe } from 'vitest'
import { hasMemcached } from '../support/memcached.ts'
import { testBrokenConnections } from './broken-connections.ts'

describe.skipIf(!hasMemcached).concurrent('closed by FIN', () => testBrokenConnections('fin'))
