/** What the command line asks for. */
export interface Wanted {
  readonly help: boolean
  /** Two processes, three servers, and a durable store behind these. */
  readonly demo: boolean
  /** Listen to the network, too. */
  readonly phone: boolean
}

export const HELP = `npm start                 the example app, with the memcached that is there
npm start -- --phone      the same, for phones in the same network, too
npm start -- --demo       two processes of it, three memcached servers of their own, and a database behind
npm start -- --help       this

Environment:
  PORT                    where to listen; --demo takes the next port, too (3000; 0: any free one)
  HOST                    the address to listen on (127.0.0.1; with --phone 0.0.0.0)
  PUBLIC_URL              where other devices find the app, if not at this computer's own address
  MEMCACHED_SERVERS       such as localhost:11211,localhost:11212; not for --demo
  SESSION_SECRET          signs the cookies (a random one, kept in a file)
  SESSION_SECRET_FILE     that file (example-app/.session-secret)`

const KNOWN = ['--demo', '--phone', '--help']

/** @throws Error - with a message for people. */
export function readArguments(args: readonly string[]): Wanted {
  const unknown = args.find(arg => !KNOWN.includes(arg) && arg !== '-h')
  if (unknown !== undefined)
    throw new Error(`There is no option ${unknown}. These are known: ${KNOWN.join(', ')}`)
  const has = (option: string): boolean => args.includes(option)
  return { help: has('--help') || has('-h'), demo: has('--demo'), phone: has('--phone') }
}

/** How to say the same again. */
export function commandFor({ demo, phone }: Wanted): string {
  const options = [demo && '--demo', phone && '--phone'].filter(option => option !== false)
  return ['npm start', ...(options.length > 0 ? ['--', ...options] : [])].join(' ')
}
