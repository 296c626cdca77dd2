import type { NetworkInterfaceInfo } from 'node:os'
import { describe, expect, test } from 'vitest'
import { networkAddress } from '../../example-app/src/reach/network.ts'
import { isLocal, isOpen } from '../../example-app/src/reach/reach.ts'

const at = (address: string, internal = false): NetworkInterfaceInfo[] => [
  {
    address,
    internal,
    family: address.includes(':') ? 'IPv6' : 'IPv4',
    netmask: '',
    mac: '',
    cidr: null,
    scopeid: 0,
  } as NetworkInterfaceInfo,
]

describe('this computer’s address for phones', () => {
  test.each([
    ['the one of a home network', { lo: at('127.0.0.1', true), wlan0: at('192.168.1.5') }, '192.168.1.5'],
    ['not one of a container', { docker0: at('172.17.0.1'), eth0: at('10.0.0.7') }, '10.0.0.7'],
    ['not one of a tunnel', { utun3: at('10.8.0.2'), en0: at('172.20.1.9') }, '172.20.1.9'],
    ['a private one before another', { eth0: at('203.0.113.9'), eth1: at('192.168.0.2') }, '192.168.0.2'],
    ['another one where there is no private one', { eth0: at('203.0.113.9') }, '203.0.113.9'],
    ['none where nobody gave one', { eth0: at('169.254.3.4'), eth1: at('fe80::1') }, undefined],
  ])('is %s', (_, interfaces, expected) => {
    expect(networkAddress(interfaces)).toBe(expected)
  })

  test('is asked for where the app is open, and where its own name is of no use to others', () => {
    expect(['0.0.0.0', '::', '192.168.1.5', '127.0.0.1', '::1', 'localhost'].map(isOpen)).toEqual([
      true,
      true,
      true,
      false,
      false,
      false,
    ])
    expect(['localhost', '127.0.0.1', '[::1]', '0.0.0.0', '192.168.1.5', 'example.org'].map(isLocal)).toEqual(
      [true, true, true, true, false, false],
    )
  })
})
