import { describe } from 'vitest'
import { realNode } from './real-node.ts'

describe('a node that speaks text', () => realNode('text'))
