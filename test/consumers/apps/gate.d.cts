import type { Server } from 'node:http'

export declare function pass(): Promise<void>
export declare function tell(server: Server): void
